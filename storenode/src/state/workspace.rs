//! One entry under way: what its commands have changed so far, visible to the next ones, written as one batch.
//!
//! ```text
//!  command ──► put / delete ──► versions (for the batch), overlay (for reading), events (for the hub)
//!          ──► small records ─► overlay of their own
//!  end of command: events, if any, become one revision
//!  end of entry:   batch ──► engine
//! ```
//!
//! Invariant: the engine is not written while a workspace lives, so `base` plus the overlays is the present.

use std::collections::BTreeMap;

use bytes::Bytes;
use internal_proto::{Event, LogIndex, RangeRequest, RangeResponse, Revision, Term};
use parking_lot::RwLock;

use super::mvcc::count::Counts;
use super::mvcc::overlay::Overlay;
use super::mvcc::range;
use super::mvcc::revision::AtRevision;
use super::{Changes, LeaseChange};
use crate::engine::{Batch, CHUNK, Engine, NewVersion, Position, SmallKey, Version};

pub(super) struct Workspace<'a> {
    engine: &'a dyn Engine,
    counts: &'a RwLock<Counts>,
    /// The revision at which the engine is read.
    base: Revision,
    /// Where the store is after the commands so far.
    pub(super) position: Position,
    overlay: Overlay,
    small: BTreeMap<SmallKey, Option<Bytes>>,
    versions: Vec<NewVersion>,
    /// What the command under way has changed.
    events: Vec<Event>,
    changes: Vec<Changes>,
    pub(super) leases: Vec<LeaseChange>,
}

/// What an entry did, besides its outcomes.
pub(super) struct Effects {
    pub(super) batch: Batch,
    pub(super) position: Position,
    pub(super) changes: Vec<Changes>,
    pub(super) leases: Vec<LeaseChange>,
}

impl<'a> Workspace<'a> {
    /// Begins at `position`, whose revision the engine can be read at.
    pub(super) fn new(engine: &'a dyn Engine, counts: &'a RwLock<Counts>, position: Position) -> Self {
        Self {
            engine,
            counts,
            base: position.revision,
            position,
            overlay: Overlay::default(),
            small: BTreeMap::new(),
            versions: Vec::new(),
            events: Vec::new(),
            changes: Vec::new(),
            leases: Vec::new(),
        }
    }

    /// The keys as they are now.
    pub(super) fn keys(&self) -> AtRevision<'_> {
        AtRevision { engine: self.engine, counts: self.counts, at: self.base, overlay: &self.overlay }
    }

    /// The revision that a read now sees: the command's own once it has changed something.
    pub(super) fn current(&self) -> Revision {
        if self.events.is_empty() { self.position.revision } else { self.position.revision.next() }
    }

    /// Reads a range whose revision is known to be readable.
    pub(super) fn range(&self, request: &RangeRequest) -> RangeResponse {
        let current = self.current();
        match request.revision.filter(|at| at.0 > 0 && *at < current) {
            None => range::read(&self.keys(), request, current),
            Some(at) => {
                let overlay = self.overlay_at(at);
                let keys = AtRevision { at: at.min(self.base), overlay: &overlay, ..self.keys() };
                range::read(&keys, request, current)
            }
        }
    }

    /// What this entry's commands had changed by a revision.
    fn overlay_at(&self, at: Revision) -> Overlay {
        let mut overlay = Overlay::default();
        self.versions.iter().filter(|new| new.version.id.revision <= at).for_each(|new| overlay.record(new));
        overlay
    }

    /// How many changes the command under way has made.
    pub(super) fn changed(&self) -> usize {
        self.events.len()
    }

    /// Records a change of the command under way.
    pub(super) fn record(&mut self, new: NewVersion, event: Event) {
        self.overlay.record(&new);
        self.versions.push(new);
        self.events.push(event);
    }

    /// The version that a key had before the command under way, given the one that it has now.
    pub(super) fn before_command(&self, now: Option<&Version>) -> Option<internal_proto::KeyValue> {
        let now = now?;
        if now.id.revision <= self.position.revision {
            return Some(now.kv.clone());
        }
        let earlier = self.events.iter().find(|event| event.kv.key() == now.kv.key());
        earlier.and_then(|event| event.prev_kv.clone())
    }

    /// A small record as it is now.
    pub(super) fn small(&self, key: &SmallKey) -> Option<Bytes> {
        match self.small.get(key) {
            Some(value) => value.clone(),
            None => self.engine.small(key),
        }
    }

    /// The keys of small records of `after`'s kind above it, up to the first that does not `belong`.
    pub(super) fn small_keys(&self, after: &SmallKey, belong: impl Fn(&SmallKey) -> bool) -> Vec<SmallKey> {
        let mut found: BTreeMap<SmallKey, bool> = BTreeMap::new();
        let mut last = after.clone();
        loop {
            let chunk = self.engine.scan_small(after.kind(), Some(&last), CHUNK);
            let full = chunk.len() == CHUNK && belong(&chunk[CHUNK - 1].0);
            if let Some((key, _)) = chunk.last() {
                last = key.clone();
            }
            found.extend(chunk.into_iter().filter(|(key, _)| belong(key)).map(|(key, _)| (key, true)));
            if !full {
                break;
            }
        }
        let above = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let touched = self.small.range(above).take_while(|(key, _)| belong(key));
        found.extend(touched.map(|(key, value)| (key.clone(), value.is_some())));
        found.into_iter().filter_map(|(key, exists)| exists.then_some(key)).collect()
    }

    /// Sets a small record, or removes it.
    pub(super) fn set_small(&mut self, key: SmallKey, value: Option<Bytes>) {
        self.small.insert(key, value);
    }

    /// Makes the events of the command that ends a revision of their own.
    pub(super) fn end_command(&mut self) {
        if !self.events.is_empty() {
            let revision = self.position.revision.next();
            self.position.revision = revision;
            self.changes.push(Changes { revision, events: std::mem::take(&mut self.events) });
        }
    }

    /// Ends the entry.
    pub(super) fn finish(mut self, applied: LogIndex, term: Term) -> Effects {
        let position = Position { applied, term, ..self.position };
        let batch = Batch {
            versions: std::mem::take(&mut self.versions),
            small: self.small.into_iter().collect(),
            position: Some(position),
            ..Batch::default()
        };
        Effects { batch, position, changes: self.changes, leases: self.leases }
    }
}
