//! Dropping what the compacted revision makes superfluous, in small steps, in the background.
//!
//! ```text
//!            done            floor = min(compacted, lowest pin)      head
//!  ── a1 ──── a2 ──── b1 ──── a3 ──── b† ──── c1 ───────────────────►
//!             └────────── walked ──────────┘
//!   each change walked drops the version before it, and itself if it is a tombstone below the floor
//! ```
//!
//! Invariants: a version goes only if a newer one of its key is at or below the floor, or if it is a tombstone below
//! the floor; both stay true forever, so steps can be repeated. A tombstone exactly at the floor stays for watches from
//! there; it goes with the next compaction, which therefore begins at `done` itself. What is older than a walked
//! version went when that was walked: a step looks up as many versions as it walks, however often a key was written.

use std::collections::HashMap;

use bytes::Bytes;
use internal_proto::Revision;

use crate::engine::{Batch, CHUNK, ChangeId, Engine, SmallKey, Version};
use crate::state::shared::Shared;

/// Versions dropped in one engine write: about 100 µs under the memory engine's exclusive lock.
const DROPS: usize = 50;

/// The background worker's place.
#[derive(Debug)]
pub(crate) struct Compaction {
    /// Nothing superfluous is left up to here.
    done: Revision,
    job: Option<Job>,
    /// How many views need everything to stay.
    pub(crate) paused: usize,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    floor: Revision,
    /// The walk begins after it.
    start: ChangeId,
    next_after: ChangeId,
}

impl Compaction {
    /// Goes on where the last process came to, as far as the engine remembers it.
    pub(crate) fn open(engine: &dyn Engine) -> Self {
        let mark = engine.small(&SmallKey::CompactionDone);
        let done = mark.and_then(|mark| Some(Revision(i64::from_be_bytes(*mark.first_chunk()?))));
        Self { done: done.unwrap_or(Revision(-1)), job: None, paused: 0 }
    }

    pub(crate) fn done(&self) -> Revision {
        self.done
    }

    /// Walks up to `budget` changes. Whether there is more to do now.
    pub(crate) fn step(&mut self, shared: &Shared, budget: usize) -> bool {
        if self.paused > 0 {
            return false;
        }
        let floor = shared.compaction_floor();
        let Some(job) = self.job.or_else(|| (floor > self.done).then(|| Job::new(self.done, floor))) else {
            return false;
        };
        let budget = budget.clamp(1, CHUNK);
        let changes = shared.engine.scan_changes(job.next_after, job.floor, budget);
        let drops = superfluous(&*shared.engine, &changes, job);
        for part in drops.chunks(DROPS) {
            shared.engine.write(&Batch { drops: part.to_vec(), ..Batch::default() });
        }
        match changes.last() {
            Some(last) if changes.len() == budget => self.job = Some(Job { next_after: last.id, ..job }),
            _ => {
                self.done = job.floor;
                self.job = None;
                let mark = Bytes::copy_from_slice(&self.done.0.to_be_bytes());
                let small = vec![(SmallKey::CompactionDone, Some(mark))];
                shared.engine.write(&Batch { small, ..Batch::default() });
            }
        }
        self.job.is_some() || floor > self.done
    }
}

impl Job {
    const fn new(done: Revision, floor: Revision) -> Self {
        let start = ChangeId::before(done);
        Self { floor, start, next_after: start }
    }
}

/// What consecutive changes at or below the floor make superfluous.
fn superfluous(engine: &dyn Engine, changes: &[Version], job: Job) -> Vec<Version> {
    let mut drops = Vec::new();
    let mut last = HashMap::new();
    for change in changes {
        match last.insert(change.kv.key(), change) {
            Some(before) => drops.push(before.clone()),
            None => drops.extend(older(engine, change, job.start)),
        }
        if change.is_tombstone() && change.id.revision < job.floor {
            drops.push(change.clone());
        }
    }
    drops
}

/// The versions of a change's key before it, down to the first that was walked.
fn older(engine: &dyn Engine, change: &Version, start: ChangeId) -> Vec<Version> {
    let mut drops = Vec::new();
    let mut below = change.id;
    while let Some(older) = engine.version(change.kv.key(), below.previous()) {
        below = older.id;
        drops.push(older);
        if below > start {
            break;
        }
    }
    drops
}
