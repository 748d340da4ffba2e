//! A follower's part: pieces become a staged file, the file another engine; raft decides whether it takes its place.
//!
//! ```text
//!  pieces ─► Receiver ─► staged ─► loaded ─► MsgSnapshot ─┬► the log begins after it, durable ─► install
//!                                                         └► raft knows better ─► discard
//! ```
//!
//! Invariants: the engine in use serves until the other one takes its place at once; nothing here holds up the driver
//! for longer than a rename takes.

use std::sync::Arc;
use std::time::Duration;

use internal_proto::{LogIndex, MemberId, Term};

use super::receiver::{Effect, Portion, Receiver};
use super::{Piece, SnapshotId, Step, Transfer};
use crate::engine::checkpoint::{CheckpointError, Staging};
use crate::log::Start;
use crate::raft::core::{Input, LogJob, ReadyNumber};
use crate::raft::fatal::Fatal;
use crate::raft::inbox::StageEvent;
use crate::raft::member::Member;
use crate::raft::transport::PeerMessage;
use crate::state::{Limits, State};
use crate::storage::{Durability, StorageError, Storages};

/// After each chunk that an engine on disk takes in: it writes a chunk several times, and others sync the same disk.
const REST: Duration = Duration::from_millis(4);

/// What a follower has under way.
#[derive(Default)]
pub(super) struct Incoming {
    receiver: Receiver,
    /// The file that grows; away while it is written to.
    staging: Option<Staging>,
    /// Raft is asked about it, or has taken it.
    loaded: Option<Box<Loaded>>,
    /// The Ready after which it takes the old state's place.
    installs_at: Option<ReadyNumber>,
}

/// A snapshot, loaded beside the engine in use.
pub(crate) struct Loaded {
    leader: MemberId,
    term: Term,
    /// What the log begins with.
    start: Start,
    state: State,
    durability: Durability,
}

impl Incoming {
    /// Whether raft has taken a snapshot that is not installed yet.
    pub(super) const fn is_install_due(&self) -> bool {
        self.installs_at.is_some()
    }
}

impl Loaded {
    fn load(storages: &Storages, leader: MemberId, term: Term, index: LogIndex) -> Result<Self, StorageError> {
        let storage = storages.load_staged(index, REST)?;
        let state = State::open(storage.engine, Limits::default())?;
        let reader = state.reader();
        let conf_state = reader.conf_state().unwrap_or_default();
        let start = Start { index, term: reader.applied().1, conf_state };
        Ok(Self { leader, term, start, state, durability: storage.durability })
    }
}

impl Member {
    /// A message about a snapshot has come.
    pub(in crate::raft) fn on_transfer(&mut self, transfer: Transfer) -> Result<(), Fatal> {
        let Transfer { from, snapshot, step, .. } = transfer;
        match step {
            Step::Progress(progress) => self.snapshot_progress(from, snapshot, progress),
            Step::Piece(piece) => {
                self.take_piece(from, snapshot, piece);
                Ok(())
            }
        }
    }

    fn take_piece(&mut self, from: MemberId, snapshot: SnapshotId, piece: Piece) {
        if self.core.is_blank() && !piece.whole {
            // It was taken for who this member was before it lost its disk; the leader hears nothing and gives it up.
            return;
        }
        let applied = self.applier.reader().applied().0;
        let mut effects = Vec::new();
        self.snapshots.incoming.receiver.piece(from, snapshot, piece, applied, &mut effects);
        self.receive_on(effects);
    }

    /// A portion is in the file, or cannot be written.
    pub(in crate::raft) fn snapshot_written(&mut self, outcome: Result<Staging, CheckpointError>) {
        let mut effects = Vec::new();
        let incoming = &mut self.snapshots.incoming;
        match outcome {
            Ok(staging) => {
                incoming.staging = Some(staging);
                incoming.receiver.written(&mut effects);
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot cannot be written: it has to come again");
                incoming.receiver.forget(&mut effects);
            }
        }
        self.receive_on(effects);
    }

    /// A snapshot is there, or of no use.
    pub(in crate::raft) fn snapshot_loaded(&mut self, outcome: Result<Box<Loaded>, StorageError>) -> Result<(), Fatal> {
        match outcome {
            Ok(loaded) => self.snapshots.incoming.loaded = Some(loaded),
            Err(error) => {
                tracing::warn!(%error, "a snapshot cannot be loaded: it has to come again");
                self.forget_snapshot(None);
            }
        }
        self.offer_snapshot()
    }

    /// Asks raft about a snapshot that is there. Not while the state that it would replace is away.
    pub(in crate::raft) fn offer_snapshot(&mut self) -> Result<(), Fatal> {
        if !self.may_apply() {
            return Ok(());
        }
        let Some(loaded) = &self.snapshots.incoming.loaded else { return Ok(()) };
        if let Some(message) = self.core.snapshot_message(loaded.leader, loaded.term, &loaded.start) {
            self.step(Input::Message(message))?;
        }
        if self.snapshots.incoming.installs_at.is_none()
            && let Some(refused) = self.snapshots.incoming.loaded.take()
        {
            self.forget_snapshot(Some(refused));
        }
        Ok(())
    }

    /// What is to be logged may begin the log anew.
    pub(in crate::raft) fn note_start(&mut self, job: &LogJob) {
        if job.start.is_some() {
            self.snapshots.incoming.installs_at = Some(job.number);
        }
    }

    /// All Readies up to this one are durable: if the log begins anew with one of them, so does the state. Whether it
    /// does.
    pub(in crate::raft) fn install_if_due(&mut self, logged: ReadyNumber) -> Result<bool, Fatal> {
        let incoming = &mut self.snapshots.incoming;
        if incoming.installs_at.is_none_or(|at| at > logged) {
            return Ok(false);
        }
        incoming.installs_at = None;
        let loaded = incoming.loaded.take().expect("raft takes only a snapshot that was just loaded");
        let index = loaded.start.index;
        self.snapshots.storages.adopt(index)?;
        self.unapplied.clear();
        let replaced = self.applier.install(loaded.state);
        self.background.replace(loaded.durability, replaced, &self.shared);
        self.metrics.applied(index, self.applier.pending());
        tracing::info!(%index, leader = %loaded.leader, "installed a snapshot of the leader");
        let mut effects = Vec::new();
        self.snapshots.incoming.receiver.installed(&mut effects);
        self.receive_on(effects);
        Ok(true)
    }

    /// The snapshot that came is not wanted.
    fn forget_snapshot(&mut self, loaded: Option<Box<Loaded>>) {
        if let Some(loaded) = loaded {
            tracing::info!(index = %loaded.start.index, "a snapshot came too late");
            loaded.durability.retire();
            self.background.close(loaded);
        }
        let mut effects = Vec::new();
        self.snapshots.incoming.receiver.forget(&mut effects);
        self.receive_on(effects);
    }

    fn receive_on(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answer(to, snapshot, progress) => {
                    let from = self.snapshots.identity().member;
                    let transfer = Transfer { from, to, snapshot, step: Step::Progress(progress) };
                    self.transport.send(vec![PeerMessage::from_transfer(transfer)]);
                }
                Effect::Write(portion) => self.write(portion),
                Effect::Load(leader, snapshot) => self.load(leader, snapshot),
            }
        }
    }

    fn write(&mut self, portion: Portion) {
        let (place, staging) = (self.snapshots.storages.place().clone(), self.snapshots.incoming.staging.take());
        let work = move || -> Result<Staging, CheckpointError> {
            let mut staging = match staging {
                Some(staging) if !portion.first => staging,
                _ => Staging::begin(&place.files, &place.dir, portion.index)?,
            };
            for piece in &portion.pieces {
                staging.append(piece)?;
            }
            Ok(staging)
        };
        self.background.take_snapshot(move || StageEvent::SnapshotWritten(work()));
    }

    fn load(&mut self, leader: MemberId, snapshot: SnapshotId) {
        let Some(staging) = self.snapshots.incoming.staging.take() else { return };
        let storages = Arc::clone(&self.snapshots.storages);
        let work = move || {
            let index = staging.finish()?;
            Loaded::load(&storages, leader, snapshot.term, index).map(Box::new)
        };
        self.background.take_snapshot(move || StageEvent::SnapshotLoaded(work()));
    }
}
