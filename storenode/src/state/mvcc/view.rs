//! Everything at one applied index, held still while it is copied out.
//!
//! ```text
//!  Reader::view ──► pause compaction ──► copy small records, pin ──► versions(after, limit) chunk by chunk ──► drop
//! ```
//!
//! Invariant: a view answers the same however long it is held, and holds up nothing but compaction.

use bytes::Bytes;
use internal_proto::{Error, Fault, LogIndex, Revision, Term};

use crate::engine::checkpoint::Content;
use crate::engine::loading::{GIVEN, small_records};
use crate::engine::{CHUNK, ChangeId, Position, SmallKey, Version};
use crate::state::shared::{Pin, Shared};

/// Everything the store holds at one applied index, for checkpoints and snapshots. Compaction pauses while it exists.
pub struct View {
    pin: Pin,
    small: Vec<(SmallKey, Bytes)>,
}

impl View {
    /// Takes the present; `pin` takes the pin.
    pub(in crate::state) fn new(shared: &Shared, pin: impl FnOnce() -> Pin) -> Self {
        shared.compaction.lock().paused += 1;
        // No entry becomes visible in between, so small records and position belong together.
        let _still = shared.publishing.lock();
        let small = GIVEN.iter().flat_map(|&kind| small_records(&*shared.engine, kind)).collect();
        Self { pin: pin(), small }
    }

    /// Where the store was.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.pin.position
    }

    /// The last entry applied, and its term.
    #[must_use]
    pub const fn applied(&self) -> (LogIndex, Term) {
        (self.pin.position.applied, self.pin.position.term)
    }

    /// The current revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.pin.position.revision
    }

    /// The compacted revision.
    #[must_use]
    pub const fn compacted(&self) -> Revision {
        self.pin.position.compacted
    }

    /// Pins a revision that the view keeps readable.
    pub(in crate::state) fn pin_at(&self, revision: Revision) -> Result<Pin, Error> {
        self.pin.shared.pin(|_| Ok(revision))
    }

    /// Every small record except the position and those that are derived.
    #[must_use]
    pub fn small_records(&self) -> &[(SmallKey, Bytes)] {
        &self.small
    }

    /// The next up to `limit` retained versions after `after`, in the order of history; empty at the end. Begin with
    /// the default id.
    #[must_use]
    pub fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version> {
        self.pin.shared.engine.scan_changes(after, self.pin.position.revision, limit.min(CHUNK))
    }
}

impl Content for View {
    fn position(&self) -> Position {
        let applied = LogIndex(self.pin.position.applied.0 - u64::from(Fault::DoubleApply.is_planted()));
        Position { applied, ..self.pin.position }
    }

    fn small_records(&self) -> &[(SmallKey, Bytes)] {
        &self.small
    }

    fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version> {
        let mut versions = self.versions(after, limit);
        if Fault::SnapshotLacksVersion.is_planted() && versions.len() < limit.min(CHUNK) {
            versions.pop();
        }
        versions
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.pin.shared.compaction.lock().paused -= 1;
    }
}
