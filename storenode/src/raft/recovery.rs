//! Start: from what the disk holds to a core and a state that go on where they left off.
//!
//! ```text
//!  storage (index C) ────► engine        log: C+1 ..... commit ..... last
//!                                             applied here │ given to raft
//!  nothing at all ─► log record "starts at (1, 1, first members)", made durable before anything else
//!                    joins: "starts at (0, 0, nobody)": blank until a snapshot of the others is installed
//!  a half installed snapshot ─► finished if the log begins after it, else discarded
//! ```
//!
//! Invariants: the log reaches at least as far as what is committed and as the engine, or the node does not start;
//! no entry above the commit index is applied.

use std::sync::Arc;

use internal_proto::{Fault, LogIndex, MemberId, Term};
use raft::eraftpb;

use super::applier::decode;
use super::core::{Core, Timing};
use super::fatal::Fatal;
use super::log_stage::unlogged;
use super::membership;
use super::window::Origin;
use crate::background::Place;
use crate::engine::Engine;
use crate::log::{EntryKind, HardState, Log, LogError, Options, Record, Recovered, Start};
use crate::state::{Input, Limits, State, StateError};
use crate::storage::{Durability, Durable, Storage, StorageError, Storages};

/// A new cluster's log begins after an entry that nobody wrote, so that a member added later, whose log begins at 0,
/// is given a snapshot with the members instead of entries alone.
const FIRST: (LogIndex, Term) = (LogIndex(1), Term(1));
/// Where the log of a member begins that joins.
const BLANK: (LogIndex, Term) = (LogIndex(0), Term(0));
/// Bytes of entries read at once while the log is replayed.
const REPLAY_BYTES: usize = 4 << 20;

/// What a start found.
pub(crate) struct Started {
    pub(crate) log: Log,
    pub(crate) state: State,
    pub(crate) core: Core,
    pub(crate) durability: Durability,
    /// What of the engine was durable.
    pub(crate) durable: Option<Durable>,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    /// The log or an entry in it.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The engine.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The content of the engine.
    #[error(transparent)]
    State(#[from] StateError),
    /// The log does not reach what is known to be committed.
    #[error(
        "the log ends at entry {last}, but entries through {needed} were committed: acknowledged data is missing; \
         remove the data directory and let this member copy the data from the others, or restore a backup"
    )]
    Short {
        /// The log's end.
        last: LogIndex,
        /// What is missing.
        needed: LogIndex,
    },
    /// The log begins after what the engine holds.
    #[error(
        "the log begins at entry {first}, but the store ends at {stored}: entries between them are missing; put the \
         newest checkpoint or the files of the store back, or let this member copy the data from the others"
    )]
    Gap {
        /// The log's begin.
        first: LogIndex,
        /// The store's end; 0 where there is none.
        stored: LogIndex,
    },
    /// raft-rs refuses what the log and state say.
    #[error("raft cannot start: {0}")]
    Raft(#[from] raft::Error),
}

impl From<LogError> for RecoveryError {
    fn from(error: LogError) -> Self {
        Self::Fatal(error.into())
    }
}

/// Recovers a node, or begins a new one: of a cluster with these founders, or without any to join one that exists.
pub(crate) fn start(
    storages: &Storages,
    log_dir: &std::path::Path,
    segment_bytes: u32,
    founders: &[MemberId],
    timing: Timing,
) -> Result<Started, RecoveryError> {
    let Place { files, identity, .. } = storages.place();
    let options = Options { identity: *identity, segment_bytes };
    let (mut log, recovered) = Log::open(Arc::clone(files), log_dir, options)?;
    if let Some(cut) = &recovered.cut {
        let file = cut.file.display();
        tracing::warn!(%file, offset = cut.offset, "cut off a torn write that was never acknowledged");
    }
    let begins = recovered.start.as_ref().map(|start| start.index);
    let Storage { engine, durability, durable } = storages.open(begins)?;
    let recovered = if is_new(&recovered) { begin(&mut log, founders)? } else { recovered };
    let (state, commit) = restore(engine, &mut log, &recovered)?;
    let core = core(&mut log, &recovered, &state, identity.member, timing, commit)?;
    Ok(Started { log, state, core, durability, durable })
}

/// Applies to what the engine holds what is known to be committed. Returns the commit index.
pub(crate) fn restore(
    engine: Arc<dyn Engine>,
    log: &mut Log,
    recovered: &Recovered,
) -> Result<(State, LogIndex), RecoveryError> {
    let mut state = State::open(engine, Limits::default())?;
    let stored = state.reader().applied().0;
    let commit = reach(stored, recovered)?;
    if let Some(start) = first_start(stored, recovered) {
        state.apply(start.index, start.term, Input::ConfState(start.conf_state.clone()));
    }
    replay(log, commit, &mut state)?;
    Ok((state, commit))
}

fn is_new(recovered: &Recovered) -> bool {
    recovered.last == LogIndex(0) && recovered.start.is_none()
}

/// Makes durable who the first members are. A member that joins knows none, and no later start takes it for a founder.
fn begin(log: &mut Log, founders: &[MemberId]) -> Result<Recovered, LogError> {
    let (index, term) = if founders.is_empty() { BLANK } else { FIRST };
    let conf_state = membership::encode(&membership::first(founders.iter().copied()));
    let start = Start { index, term, conf_state };
    let hard_state = HardState { term, vote: MemberId(0), commit: index };
    log.append(&[Record::Start(&start), Record::HardState(hard_state)])?;
    log.sync()?;
    Ok(Recovered { first: index.next(), last: index, hard_state, start: Some(start), cut: None })
}

/// Whether the log goes on where a store ends, and reaches the commit index, which it returns.
pub(crate) fn reach(stored: LogIndex, recovered: &Recovered) -> Result<LogIndex, RecoveryError> {
    if stored.next() < recovered.first && first_start(stored, recovered).is_none() {
        return Err(RecoveryError::Gap { first: recovered.first, stored });
    }
    let commit = recovered.hard_state.commit.max(stored);
    if commit > recovered.last {
        return Err(RecoveryError::Short { last: recovered.last, needed: commit });
    }
    Ok(commit)
}

/// What an empty store lacks at the begin of a founder's log.
fn first_start(stored: LogIndex, recovered: &Recovered) -> Option<&Start> {
    recovered.start.as_ref().filter(|start| start.index == FIRST.0 && stored == LogIndex(0))
}

/// Applies what is known to be committed.
fn replay(log: &mut Log, commit: LogIndex, state: &mut State) -> Result<(), RecoveryError> {
    let mut next = state.reader().applied().0.next();
    while next <= commit {
        for entry in log.entries(next, commit.next(), REPLAY_BYTES)? {
            let (index, term) = (entry.index, entry.term);
            let input = if entry.kind == EntryKind::Normal {
                decode(entry.data).map_err(Fatal::from)?
            } else {
                Input::ConfState(membership::encode(&membership::replay(conf_state(state)?, &unlogged(entry))?))
            };
            next = index.next();
            state.apply(index, term, input);
        }
    }
    Ok(())
}

fn conf_state(state: &State) -> Result<eraftpb::ConfState, RecoveryError> {
    let encoded = state.reader().conf_state().unwrap_or_default();
    Ok(membership::decode(&encoded)?)
}

/// A core over what is left above the commit index. It holds that in memory, and it is bounded: what the log did not
/// know to be committed when its last group became durable is at most what raft admits uncommitted, 64 MiB, and the
/// group itself at most what may wait for the disk, 32 MiB.
fn core(
    log: &mut Log,
    recovered: &Recovered,
    state: &State,
    member: MemberId,
    timing: Timing,
    commit: LogIndex,
) -> Result<Core, RecoveryError> {
    let mut terms: Vec<(LogIndex, Term)> = Vec::new();
    for index in recovered.first.0 - 1..=recovered.last.0 {
        let term = log.term(LogIndex(index))?;
        if terms.last().is_none_or(|&(_, last)| last != term) {
            terms.push((LogIndex(index), term));
        }
    }
    let applied = state.reader().applied().0;
    let rest = log.entries(applied.next(), recovered.last.next(), usize::MAX)?;
    let rest: Vec<_> = rest.into_iter().map(unlogged).collect();
    let mut hard_state = eraftpb::HardState::default();
    hard_state.term = recovered.hard_state.term.0;
    hard_state.vote = if Fault::ForgottenVote.is_planted() { 0 } else { recovered.hard_state.vote.0 };
    hard_state.commit = commit.0;
    let first = recovered.first;
    let origin = Origin { hard_state, conf_state: conf_state(state)?, first, applied, terms };
    Ok(Core::new(member, timing, origin, &rest)?)
}
