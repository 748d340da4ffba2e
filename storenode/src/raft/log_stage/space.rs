//! How far the log can grow, and who may still use it.
//!
//! ```text
//!  segment being written                       disk full: no further segment
//!  │ written ...... │ room ................ │
//!                   │ anybody │ 1 MiB: what frees space │ 256 KiB: raft's own records │
//! ```
//!
//! Invariant: what is let in finds room, as it can no longer be refused then.

use crate::log::Reserve;

/// Kept for what ends a full disk: compaction, deletions, and raft's own records.
const RESERVE_BYTES: usize = 1 << 20;
/// Of the reserve, kept for raft's own records alone.
const RESERVE_FOR_RAFT_BYTES: usize = RESERVE_BYTES / 4;
/// Entries of a leader that may wait for the disk: half of a segment, so that one spare is enough.
const MAX_QUEUED_BYTES: usize = 32 << 20;

/// Whether a proposal can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It can.
    Yes,
    /// Perhaps, once the log has done what it is at.
    Later,
    /// The disk is full.
    No,
}

/// What is left of the log's space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes left in the segment that is being written.
    pub(crate) room: usize,
    /// Whether a spare segment is there.
    pub(crate) has_spare: bool,
    /// The size of a segment.
    pub(crate) segment_bytes: usize,
    /// Whether the disk is known to be full.
    pub(crate) reserve: Reserve,
}

impl Space {
    /// Whether so many bytes could need a segment that is not there, and that might still be made.
    pub(super) fn lacks_spare_for(&self, bytes: usize) -> bool {
        self.reserve == Reserve::Available && !self.has_spare && self.room <= bytes + RESERVE_BYTES
    }

    /// Whether a proposal fits, when nothing else waits.
    pub(super) fn takes_proposal(&self, bytes: usize, frees_space: bool) -> bool {
        match self.reserve {
            Reserve::Available => true,
            Reserve::NoDisk => frees_space && self.room > bytes + RESERVE_FOR_RAFT_BYTES,
        }
    }

    /// Whether a leader's entries fit behind the bytes that wait already. Nobody knows what they do, so they may use
    /// all but what raft needs.
    pub(super) fn takes_entries(&self, bytes: usize, waiting: usize) -> bool {
        let kept = RESERVE_FOR_RAFT_BYTES.min(self.segment_bytes / 8);
        let needed = waiting + bytes + kept;
        match self.reserve {
            Reserve::Available if self.has_spare => waiting == 0 || needed < self.segment_bytes.min(MAX_QUEUED_BYTES),
            Reserve::Available | Reserve::NoDisk => needed < self.room && waiting + bytes < MAX_QUEUED_BYTES,
        }
    }
}
