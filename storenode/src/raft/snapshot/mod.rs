//! Snapshots between members: how one that lacks entries which no log holds any more gets the whole state instead.
//!
//! ```text
//!  leader: raft asks ─► round if needed ─► View pinned ─► Sender ══ pieces ═══► Receiver ─► staged file, durable
//!                                                            ▲                    │         other engine, filled
//!                                                            └═════ progress ═════┘              │
//!  follower:           log begins after it, durable ◄─ raft restores ◄─ MsgSnapshot ◄────────────┘
//!                             └─► engines change places ─► acknowledged
//! ```
//!
//! A snapshot is a checkpoint file of the receiver ([`crate::engine::checkpoint`]), whatever the engines of the two.
//! Pieces and progress may be lost, repeated and overtake each other like raft's messages; nothing else decides what is
//! sent again.
//!
//! Invariants:
//! - MsgSnapshot reaches the receiver's raft when everything is staged durably and loaded beside the engine in use.
//! - The log record "begins after S" is what decides: with it a start finishes the installation, without it a start
//!   forgets what was staged.
//! - The sender's View and log stay until the follower needs them no more, within bounds of time and bytes.
//! - A snapshot for a member that lost its disk is taken after a round of this leader's term was confirmed without it:
//!   by then it held everything that its receiver can ever have acknowledged. One that only fell behind waits for no
//!   round: without it there may be none.

mod incoming;
mod outgoing;
mod receiver;
mod sender;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{LogIndex, MemberId, Term};

use super::core::Output;
use crate::identity::Identity;
use crate::storage::Storages;
use incoming::Incoming;
pub(crate) use incoming::Loaded;
pub(crate) use outgoing::Ahead;
use outgoing::Outgoing;

/// One snapshot: no two are taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SnapshotId {
    /// The term of the leader that took it.
    pub(crate) term: Term,
    /// Rises by one with every snapshot that this leader takes.
    pub(crate) sequence: u64,
}

/// A message about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    pub(crate) snapshot: SnapshotId,
    pub(crate) step: Step,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// From the leader.
    Piece(Piece),
    /// To the leader.
    Progress(Progress),
}

/// A part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The last log entry in the snapshot.
    pub(crate) index: LogIndex,
    /// Where the part belongs.
    pub(crate) offset: u64,
    /// Empty in a question how far the receiver is.
    pub(crate) data: Bytes,
    /// Whether the file ends with it.
    pub(crate) last: bool,
    /// Whether a member that has lost its disk may take it: the leader was confirmed without it since it asked.
    pub(crate) whole: bool,
}

/// How far the receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The file is there up to here. From 0 on again if the receiver forgot it.
    pub(crate) wanted: u64,
    /// The receiver has applied all that the snapshot holds.
    pub(crate) installed: bool,
}

/// A member's snapshots, both ways.
pub(crate) struct Snapshots {
    storages: Arc<Storages>,
    pace: SnapshotPace,
    outgoing: Outgoing,
    incoming: Incoming,
}

impl Snapshots {
    /// None are under way.
    pub(crate) fn new(storages: Arc<Storages>, pace: SnapshotPace) -> Self {
        Self { storages, pace, outgoing: Outgoing::default(), incoming: Incoming::default() }
    }

    /// How far the log may be given up, if that is wanted through an index.
    pub(super) fn spare(&self, through: LogIndex) -> LogIndex {
        self.outgoing.keeps_after().map_or(through, |kept| through.min(kept))
    }

    /// The log has grown by so many bytes.
    pub(super) fn logged(&mut self, bytes: usize) {
        self.outgoing.logged(bytes);
    }

    /// The connection with a peer was lost.
    pub(super) fn lost(&mut self, peer: MemberId) {
        self.outgoing.lost(peer);
    }

    /// Whether raft has taken a snapshot that is not installed yet: the log begins after it first.
    pub(super) const fn is_install_due(&self) -> bool {
        self.incoming.is_install_due()
    }

    fn identity(&self) -> Identity {
        self.storages.place().identity
    }
}

/// How fast snapshots travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPace {
    /// The size of a piece, unless one record is larger.
    pub chunk_bytes: usize,
    /// Pieces in flight, and as many read ahead.
    pub window_pieces: u64,
    /// The most that leaves in a second: what a leader's disk, processor and network give without its clients noticing.
    pub bytes_per_second: u64,
}

impl Default for SnapshotPace {
    /// 2 GB in a minute, in pieces that a processor is done with before anybody waits; an eighth of a second may pass
    /// until one is known to be written.
    fn default() -> Self {
        Self { chunk_bytes: 256 << 10, window_pieces: 16, bytes_per_second: 32 << 20 }
    }
}
