//! A leader's part: a View is pinned for a follower that lacks entries, and its pieces leave.
//!
//! ```text
//!  lacks everything ─► round confirmed, applied that far ─┐
//!  lacks entries ─────────────────────────────────────────┴► View ─► raft takes it (MsgSnapshot) ─► Sender ─► end
//! ```
//!
//! Invariants: one snapshot leaves at a time; what is pinned for it is let go of after a bound of bytes or silence, and
//! the log above it is kept until the follower goes on from there, or for a while.

use std::sync::Arc;

use internal_proto::{Barrier, Error, LogIndex, MemberId, Term};
use raft::SnapshotStatus;
use raft::eraftpb::{Message, SnapshotMetadata};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::sender::{Effect, Sender};
use super::{Progress, SnapshotId, SnapshotPace, Step, Transfer};
use crate::engine::SmallKey;
use crate::engine::checkpoint::Chunks;
use crate::identity::Identity;
use crate::raft::core::Input;
use crate::raft::fatal::Fatal;
use crate::raft::member::Member;
use crate::raft::membership;
use crate::raft::transport::PeerMessage;
use crate::raft::window::{Held, Lack};
use crate::state::View;

/// Chunks that one read gives.
const CHUNKS_PER_READ: usize = 4;
/// A snapshot that takes longer than it takes the log to grow by so much is begun again: the follower would have to
/// read all of that afterwards.
const MAX_LOG_BYTES: u64 = 2 << 30;
/// Ticks for raft to take a snapshot that it asked for: it does when it hears of the follower.
const TICKS_TO_TAKE: u32 = 300;
/// Ticks in which the log is kept for a follower that has just installed a snapshot.
const TICKS_TO_GO_ON: u32 = 1_000;

/// What a leader has under way.
#[derive(Default)]
pub(super) struct Outgoing {
    state: State,
    /// In which this began.
    term: Term,
    /// Snapshots taken so far.
    taken: u64,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// Waits until this leader is known to be the leader.
    Confirming { to: MemberId, round: oneshot::Receiver<Result<Barrier, Error>> },
    /// Waits until so much is applied.
    Applying { to: MemberId, lack: Lack, index: LogIndex },
    /// A View is held ready for raft to take, for so many ticks.
    Offered { pinned: Box<Pinned>, ticks: u32 },
    /// Pieces leave.
    Sending(Box<Pinned>),
    /// The follower has it, and the log above is kept for so many ticks.
    Delivered { to: MemberId, index: LogIndex, ticks: u32 },
}

struct Pinned {
    to: MemberId,
    lack: Lack,
    snapshot: SnapshotId,
    index: LogIndex,
    view: Arc<View>,
    sender: Sender,
    /// What is read from; `None` while it is being read.
    chunks: Option<Chunks<Arc<View>>>,
    /// What is being read is of no use.
    again: bool,
    /// What the log has grown by.
    logged: u64,
}

/// Chunks that were read, and what comes next.
pub(crate) struct Ahead {
    snapshot: SnapshotId,
    chunks: Chunks<Arc<View>>,
    read: Vec<Vec<u8>>,
    ended: bool,
}

impl Outgoing {
    /// The entries above this one must stay in the log.
    pub(super) fn keeps_after(&self) -> Option<LogIndex> {
        match &self.state {
            State::Offered { pinned, .. } | State::Sending(pinned) => Some(pinned.index),
            State::Delivered { index, .. } => Some(*index),
            State::Idle | State::Confirming { .. } | State::Applying { .. } => None,
        }
    }

    /// The log has grown.
    pub(super) fn logged(&mut self, bytes: usize) {
        if let State::Offered { pinned, .. } | State::Sending(pinned) = &mut self.state {
            pinned.logged += bytes as u64;
        }
    }

    /// The connection with a peer was lost.
    pub(super) fn lost(&mut self, peer: MemberId) {
        if let State::Sending(pinned) = &mut self.state
            && pinned.to == peer
        {
            pinned.sender.lost();
        }
    }
}

impl Pinned {
    fn chunks(&self, identity: Identity, pace: SnapshotPace) -> Chunks<Arc<View>> {
        Chunks::new(Arc::clone(&self.view), Identity { member: self.to, ..identity }, pace.chunk_bytes)
    }
}

impl Member {
    /// A follower lacks entries that no file holds.
    pub(in crate::raft) fn follower_lacks(&mut self, to: MemberId, lack: Lack) {
        let outgoing = &mut self.snapshots.outgoing;
        let free = match &outgoing.state {
            State::Idle => true,
            // It has lost what it was given, or fell behind once more.
            State::Delivered { to: last, .. } => *last == to,
            // The round may need the one that only lacks entries: nothing is committed without it.
            State::Confirming { .. } => lack == Lack::Entries,
            // It has lost its disk since it lacked entries.
            State::Applying { to: last, lack: Lack::Entries, .. } => *last == to && lack == Lack::Everything,
            State::Offered { pinned, .. } | State::Sending(pinned) => {
                pinned.to == to && pinned.lack == Lack::Entries && lack == Lack::Everything
            }
            State::Applying { .. } => false,
        };
        if self.role.leads && free {
            outgoing.term = self.role.term;
            outgoing.state = match lack {
                Lack::Entries => State::Applying { to, lack, index: LogIndex(0) },
                Lack::Everything => {
                    let (respond, round) = oneshot::channel();
                    self.barriers.wait(respond);
                    State::Confirming { to, round }
                }
            };
        }
    }

    /// A tick passes.
    pub(in crate::raft) fn move_snapshot(&mut self) -> Result<(), Fatal> {
        // Who has led before, and lost and won an election since the last tick, has another raft to serve.
        if !self.role.leads || self.snapshots.outgoing.term != self.role.term {
            return self.let_go();
        }
        let state = std::mem::take(&mut self.snapshots.outgoing.state);
        let applied = self.applier.reader().applied().0;
        self.snapshots.outgoing.state = match state {
            State::Idle => State::Idle,
            State::Confirming { to, mut round } => match round.try_recv() {
                Ok(Ok(barrier)) => State::Applying { to, lack: Lack::Everything, index: barrier.index },
                Err(TryRecvError::Empty) => State::Confirming { to, round },
                Ok(Err(_)) | Err(TryRecvError::Closed) => State::Idle,
            },
            State::Applying { to, lack, index } if applied >= index && !self.applier.is_away() => {
                return self.pin(to, lack);
            }
            state @ State::Applying { .. } => state,
            State::Offered { ticks: 0, .. } => {
                self.step(Input::Hold(None))?;
                State::Idle
            }
            State::Offered { pinned, ticks } => State::Offered { pinned, ticks: ticks - 1 },
            State::Sending(mut pinned) => {
                let mut effects = Vec::new();
                pinned.sender.tick(&mut effects);
                if pinned.logged > MAX_LOG_BYTES {
                    effects.push(Effect::GiveUp);
                }
                self.snapshots.outgoing.state = State::Sending(pinned);
                return self.send_on(effects);
            }
            State::Delivered { to, index, ticks } => {
                let goes_on = self.core.matched(to).is_none_or(|matched| matched > index);
                if ticks == 0 || goes_on { State::Idle } else { State::Delivered { to, index, ticks: ticks - 1 } }
            }
        };
        Ok(())
    }

    /// Raft sends a snapshot that it found held ready.
    pub(in crate::raft) fn begin_sending(&mut self, message: &Message, follow_up: &mut Vec<super::Output>) {
        let (to, index) = (MemberId(message.to), LogIndex(message.get_snapshot().get_metadata().index));
        match std::mem::take(&mut self.snapshots.outgoing.state) {
            State::Offered { pinned, .. } if (pinned.to, pinned.index) == (to, index) => {
                tracing::info!(follower = %to, %index, "a follower lacks entries: sending it a snapshot");
                self.snapshots.outgoing.state = State::Sending(pinned);
            }
            other => {
                self.snapshots.outgoing.state = other;
                self.core.step(Input::SnapshotEnded(to, SnapshotStatus::Failure), follow_up);
            }
        }
    }

    /// The receiver tells how far it is.
    pub(super) fn snapshot_progress(
        &mut self,
        from: MemberId,
        snapshot: SnapshotId,
        progress: Progress,
    ) -> Result<(), Fatal> {
        let mut effects = Vec::new();
        if let State::Sending(pinned) = &mut self.snapshots.outgoing.state
            && (pinned.to, pinned.snapshot) == (from, snapshot)
        {
            pinned.sender.progress(progress, &mut effects);
        }
        self.send_on(effects)
    }

    /// Chunks were read.
    pub(in crate::raft) fn snapshot_read(&mut self, ahead: Ahead) -> Result<(), Fatal> {
        let mut effects = Vec::new();
        if let State::Sending(pinned) = &mut self.snapshots.outgoing.state
            && pinned.snapshot == ahead.snapshot
        {
            if std::mem::take(&mut pinned.again) {
                effects.push(Effect::ReadAgain);
            } else {
                pinned.sender.read(ahead.read, ahead.ended, &mut effects);
            }
            pinned.chunks = Some(ahead.chunks);
        }
        self.send_on(effects)
    }

    fn pin(&mut self, to: MemberId, lack: Lack) -> Result<(), Fatal> {
        let view = Arc::new(self.applier.reader().view());
        let (index, term) = view.applied();
        let members = view.small_records().iter().find(|(key, _)| *key == SmallKey::ConfState);
        let Some((_, members)) = members else { return Ok(()) };
        let mut metadata = SnapshotMetadata::default();
        (metadata.index, metadata.term) = (index.0, term.0);
        metadata.set_conf_state(membership::decode(members)?);
        self.snapshots.outgoing.taken += 1;
        let (pace, ticks) = (self.snapshots.pace, 1_000 / self.pace.tick.as_millis().max(1));
        let mut pinned = Pinned {
            to,
            lack,
            snapshot: SnapshotId { term: self.role.term, sequence: self.snapshots.outgoing.taken },
            index,
            view,
            sender: Sender::new(index, lack == Lack::Everything, pace, u64::try_from(ticks).unwrap_or(u64::MAX)),
            chunks: None,
            again: false,
            logged: 0,
        };
        pinned.chunks = Some(pinned.chunks(self.snapshots.identity(), pace));
        self.snapshots.outgoing.state = State::Offered { pinned: Box::new(pinned), ticks: TICKS_TO_TAKE };
        self.step(Input::Hold(Some(Held { follower: to, lack, metadata })))
    }

    fn send_on(&mut self, effects: Vec<Effect>) -> Result<(), Fatal> {
        for effect in effects {
            let identity = self.snapshots.identity();
            let State::Sending(pinned) = &mut self.snapshots.outgoing.state else { return Ok(()) };
            match effect {
                Effect::Send(piece) => {
                    let (from, to, snapshot) = (identity.member, pinned.to, pinned.snapshot);
                    let transfer = Transfer { from, to, snapshot, step: Step::Piece(piece) };
                    self.transport.send(vec![PeerMessage::from_transfer(transfer)]);
                }
                Effect::Read => self.read_on(),
                Effect::ReadAgain if pinned.chunks.is_none() => pinned.again = true,
                Effect::ReadAgain => {
                    pinned.chunks = Some(pinned.chunks(identity, self.snapshots.pace));
                    self.read_on();
                }
                Effect::Installed => self.end_snapshot(SnapshotStatus::Finish)?,
                Effect::GiveUp => self.end_snapshot(SnapshotStatus::Failure)?,
            }
        }
        Ok(())
    }

    fn read_on(&mut self) {
        let State::Sending(pinned) = &mut self.snapshots.outgoing.state else { return };
        let (snapshot, Some(mut chunks)) = (pinned.snapshot, pinned.chunks.take()) else { return };
        self.background.read_snapshot(move || {
            let read: Vec<_> = chunks.by_ref().take(CHUNKS_PER_READ).collect();
            let ended = chunks.is_over();
            crate::raft::inbox::StageEvent::SnapshotRead(Box::new(Ahead { snapshot, chunks, read, ended }))
        });
    }

    fn end_snapshot(&mut self, status: SnapshotStatus) -> Result<(), Fatal> {
        let State::Sending(pinned) = std::mem::take(&mut self.snapshots.outgoing.state) else { return Ok(()) };
        let (to, index) = (pinned.to, pinned.index);
        if status == SnapshotStatus::Finish {
            tracing::info!(follower = %to, %index, "the follower has installed the snapshot");
            self.snapshots.outgoing.state = State::Delivered { to, index, ticks: TICKS_TO_GO_ON };
        } else {
            tracing::warn!(follower = %to, %index, "the snapshot does not reach the follower: it is begun again");
        }
        self.step(Input::Hold(None))?;
        self.step(Input::SnapshotEnded(to, status))
    }

    /// This leader's term is over.
    fn let_go(&mut self) -> Result<(), Fatal> {
        match std::mem::take(&mut self.snapshots.outgoing.state) {
            State::Idle => Ok(()),
            _ => self.step(Input::Hold(None)),
        }
    }
}
