//! What the one writer and the many readers share: the head, the pins, the counts, the compaction's progress.
//!
//! ```text
//!  apply:   publishing { counts { engine.write } ──► head }
//!  reader:  head ──► pin(revision) ... chunk reads ... drop(pin)
//!  worker:  compaction { floor = min(compacted, lowest pin) ──► engine.write(drops) }
//!  view:    compaction { publishing { copy small records, pin } }
//! ```
//!
//! Invariants: locks are taken in the order compaction, publishing, counts, head; a pin is never below the compacted
//! revision of the moment it was taken, so that compaction, which stays at or below the lowest pin, never passes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use internal_proto::{Error, Revision};
use parking_lot::{Mutex, RwLock};

use super::mvcc::compaction::Compaction;
use super::mvcc::count::Counts;
use crate::engine::{Batch, CHUNK, Engine, Position};

pub(super) struct Shared {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) compaction: Mutex<Compaction>,
    /// Held while an entry's effects become visible one by one.
    pub(super) publishing: Mutex<()>,
    pub(super) counts: RwLock<Counts>,
    head: Mutex<Head>,
}

#[derive(Debug, Default)]
struct Head {
    position: Position,
    /// How many readers hold each revision.
    pins: BTreeMap<Revision, usize>,
}

impl Shared {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        let position = engine.position();
        let counts = Counts::open(&*engine, position.revision);
        let compaction = Compaction::open(&*engine);
        Self {
            engine,
            compaction: Mutex::new(compaction),
            publishing: Mutex::default(),
            counts: RwLock::new(counts),
            head: Mutex::new(Head { position, pins: BTreeMap::new() }),
        }
    }

    pub(super) fn position(&self) -> Position {
        self.head.lock().position
    }

    /// Writes one entry's effects and makes them visible.
    pub(super) fn write(&self, mut batch: Batch, position: Position) {
        let _publishing = self.publishing.lock();
        if batch.versions.len() <= CHUNK {
            // Held during the write, so that nobody counts with groups that are ahead of the engine.
            let mut counts = self.counts.write();
            batch.counts = counts.follow(&*self.engine, &batch.versions, position.revision);
            self.engine.write(&batch);
        } else {
            // A long write: until it is done the groups as they were count for their revision.
            let mut counts = self.counts.read().clone();
            batch.counts = counts.follow(&*self.engine, &batch.versions, position.revision);
            self.engine.write(&batch);
            *self.counts.write() = counts;
        }
        self.head.lock().position = position;
    }

    /// The revision up to which superseded versions may go: nobody reads below it.
    pub(super) fn compaction_floor(&self) -> Revision {
        let head = self.head.lock();
        let lowest = head.pins.first_key_value().map_or(head.position.compacted, |(&lowest, _)| lowest);
        lowest.min(head.position.compacted)
    }

    /// Pins the revision that `choose` takes, given where the store is.
    pub(super) fn pin(
        self: &Arc<Self>,
        choose: impl FnOnce(Position) -> Result<Revision, Error>,
    ) -> Result<Pin, Error> {
        let mut head = self.head.lock();
        let position = head.position;
        let revision = choose(position)?;
        *head.pins.entry(revision).or_default() += 1;
        Ok(Pin { shared: Arc::clone(self), revision, position })
    }

    fn unpin(&self, revision: Revision) {
        let mut head = self.head.lock();
        let holders = head.pins.get_mut(&revision).expect("a pin is released once");
        *holders -= 1;
        if *holders == 0 {
            head.pins.remove(&revision);
        }
    }
}

/// The revision that a read at `requested` means: zero and below is the current one, as in etcd.
pub(super) fn readable(position: Position, requested: Option<Revision>) -> Result<Revision, Error> {
    match requested {
        Some(revision) if revision > position.revision => Err(Error::FutureRevision),
        Some(revision) if revision.0 > 0 => {
            if revision < position.compacted {
                Err(Error::Compacted)
            } else {
                Ok(revision)
            }
        }
        _ => Ok(position.revision),
    }
}

/// Keeps a revision readable until it is dropped.
pub(super) struct Pin {
    pub(super) shared: Arc<Shared>,
    pub(super) revision: Revision,
    /// Where the store was when the pin was taken.
    pub(super) position: Position,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.shared.unpin(self.revision);
    }
}
