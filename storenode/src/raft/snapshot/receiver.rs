//! What to do with the pieces of a snapshot, decided without a clock or I/O.
//!
//! ```text
//!   pieces in order ─► waiting ─► Write (one at a time, aside) ─► wanted moves on ─► .. ─► all is written ─► Load
//!   any other        ─► told where to go on
//! ```
//!
//! Invariants: at most one snapshot is being received; a newer one takes its place between two writes; what waits is
//! bounded; nothing is acknowledged that is not in the file.

use bytes::Bytes;
use internal_proto::{LogIndex, MemberId};

use super::{Piece, Progress, SnapshotId};

/// Pieces that may wait for the disk; the sender has fewer in flight.
const MAX_WAITING: usize = 64;

/// The snapshot that is coming in, if one is.
#[derive(Debug, Default)]
pub(super) struct Receiver(Option<Incoming>);

#[derive(Debug)]
struct Incoming {
    from: MemberId,
    snapshot: SnapshotId,
    index: LogIndex,
    /// In the file.
    written: u64,
    /// In the file, on its way there, or waiting.
    arrived: u64,
    waiting: Vec<Bytes>,
    /// Whether the last piece has arrived.
    whole: bool,
    /// Whether pieces are being written, or all of them loaded.
    busy: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Tell a member.
    Answer(MemberId, SnapshotId, Progress),
    /// Append to the file; then [`Receiver::written`], or [`Receiver::forget`].
    Write(Portion),
    /// The file is whole: make it durable and load it; then [`Receiver::installed`], or [`Receiver::forget`].
    Load(MemberId, SnapshotId),
}

/// What goes to the file at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) index: LogIndex,
    /// Whether the file begins with it.
    pub(super) first: bool,
    pub(super) pieces: Vec<Bytes>,
}

impl Receiver {
    /// A piece has come; this member has applied the entries through `applied`.
    pub(super) fn piece(
        &mut self,
        from: MemberId,
        snapshot: SnapshotId,
        piece: Piece,
        applied: LogIndex,
        effects: &mut Vec<Effect>,
    ) {
        if applied >= piece.index {
            let installed = Progress { wanted: piece.offset, installed: true };
            effects.push(Effect::Answer(from, snapshot, installed));
            return;
        }
        let Some(incoming) = self.incoming(from, snapshot, piece.index) else { return };
        let fits = piece.offset == incoming.arrived && !incoming.whole && incoming.waiting.len() < MAX_WAITING;
        if !fits || piece.data.is_empty() {
            effects.push(incoming.answer());
            return;
        }
        incoming.arrived += piece.data.len() as u64;
        incoming.whole = piece.last;
        incoming.waiting.push(piece.data);
        incoming.go_on(effects);
    }

    /// What was to be written is in the file.
    pub(super) fn written(&mut self, effects: &mut Vec<Effect>) {
        if let Some(incoming) = &mut self.0 {
            incoming.busy = false;
            let waiting: usize = incoming.waiting.iter().map(Bytes::len).sum();
            incoming.written = incoming.arrived - waiting as u64;
            effects.push(incoming.answer());
            incoming.go_on(effects);
        }
    }

    /// The snapshot is of no use: not written, damaged, or overtaken by what raft knows.
    pub(super) fn forget(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Incoming { from, snapshot, .. }) = self.0.take() {
            effects.push(Effect::Answer(from, snapshot, Progress { wanted: 0, installed: false }));
        }
    }

    /// Raft has taken the snapshot over.
    pub(super) fn installed(&mut self, effects: &mut Vec<Effect>) {
        if let Some(incoming) = self.0.take() {
            let progress = Progress { wanted: incoming.written, installed: true };
            effects.push(Effect::Answer(incoming.from, incoming.snapshot, progress));
        }
    }

    /// The state of this snapshot; `None` for one that has to wait, or is older than what is coming in.
    fn incoming(&mut self, from: MemberId, snapshot: SnapshotId, index: LogIndex) -> Option<&mut Incoming> {
        let replaces = match &self.0 {
            None => true,
            Some(current) => snapshot > current.snapshot && !current.busy,
        };
        if replaces {
            self.0 = Some(Incoming {
                from,
                snapshot,
                index,
                written: 0,
                arrived: 0,
                waiting: Vec::new(),
                whole: false,
                busy: false,
            });
        }
        self.0.as_mut().filter(|current| current.snapshot == snapshot)
    }
}

impl Incoming {
    fn answer(&self) -> Effect {
        Effect::Answer(self.from, self.snapshot, Progress { wanted: self.written, installed: false })
    }

    fn go_on(&mut self, effects: &mut Vec<Effect>) {
        if self.busy || (self.waiting.is_empty() && !self.whole) {
            return;
        }
        if self.waiting.is_empty() {
            self.busy = true;
            effects.push(Effect::Load(self.from, self.snapshot));
            return;
        }
        self.busy = true;
        let pieces = std::mem::take(&mut self.waiting);
        effects.push(Effect::Write(Portion { index: self.index, first: self.written == 0, pieces }));
    }
}
