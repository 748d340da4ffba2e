//! The replicated state: what the committed entries of the log have made of an empty store.
//!
//! ```text
//!  Entry ──► State::apply ──► Workspace (sees the entry's earlier commands) ──► one Batch ──► Engine
//!                 │
//!                 ├─► Applied{outcomes} ──► answers       Applied{changes} ──► watch hub
//!                 └─► head (revision, compacted, applied)
//!                        ▲
//!  Reader, View ─────────┘   any thread; pin a revision, read in chunks
//! ```
//!
//! Invariants: apply is deterministic, without clock, randomness or I/O of its own; whatever can refuse a command is
//! checked before its first change; one engine write per entry, and the applied index is in it; a pinned revision
//! stays readable until its pin is dropped.

mod apply;
mod lease;
mod members;
mod mvcc;
mod reader;
mod session;
mod shared;
mod txn;
mod weight;
mod workspace;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use internal_proto::{Entry, Error, Event, LeaseId, LogIndex, Member, Response, Revision, Term};
use prost::Message;

pub use self::mvcc::view::View;
pub use self::reader::Reader;

use self::apply::EntryContext;
use self::session::SessionRecord;
use self::shared::Shared;
use self::workspace::Workspace;
use crate::engine::{CHUNK, Engine, SmallKey, SmallKind};

/// What one log entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Commands, applied in their order.
    Commands(Entry),
    /// Nothing: a leader's first entry of its term.
    Nothing,
    /// The membership as raft sees it after the entry, encoded.
    ConfState(Bytes),
}

/// What applying one entry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One per command, in their order.
    pub outcomes: Vec<Outcome>,
    /// In revision order.
    pub changes: Vec<Changes>,
    /// What the leader's lessor has to know, in order.
    pub leases: Vec<LeaseChange>,
    /// The compacted revision, if the entry moved it.
    pub compacted: Option<Revision>,
}

/// The result of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer, or why the command was refused. A refused command changed nothing.
    pub result: Result<Response, Error>,
    /// The store's revision after the command.
    pub revision: Revision,
}

/// The events of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The revision.
    pub revision: Revision,
    /// In the order in which the command made the changes, `prev_kv` always filled where there was a version before.
    pub events: Vec<Event>,
}

/// A change to the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// A lease began, with so many seconds to live.
    Granted {
        /// The lease.
        id: LeaseId,
        /// Seconds.
        ttl: i64,
    },
    /// A lease ended.
    Revoked {
        /// The lease.
        id: LeaseId,
    },
    /// A lease had so many seconds left when the leader wrote the checkpoint.
    Checkpointed {
        /// The lease.
        id: LeaseId,
        /// Seconds.
        remaining: i64,
    },
}

/// A lease as replicated; its deadline is the leader's own knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Seconds to live after a grant or keepalive.
    pub ttl: i64,
    /// Seconds left at the last checkpoint; 0 if there was none since the grant.
    pub remaining: i64,
}

/// One page of history for a watcher that catches up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// Whole revisions in order, events of the range only, `prev_kv` filled where the version before is retained.
    pub changes: Vec<Changes>,
    /// Every event of the range up to here is in this page or before it.
    pub through: Revision,
}

/// etcd's HashKV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreHash {
    /// CRC-32C over the retained versions in revision order.
    pub hash: u32,
    /// The revision through which it was computed.
    pub revision: Revision,
    /// The compacted revision it was computed above; -1 if never compacted.
    pub compacted: Revision,
}

/// Bounds that apply enforces. Every node of a cluster must have the same: they decide results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far a session's sequence may be above its floor: the answers remembered per session.
    pub session_in_flight: u64,
    /// Longest encoded answer that a session remembers, in bytes.
    pub session_answer_bytes: usize,
}

impl Default for Limits {
    /// A gateway's pipeline never has more writes under way than that; an answer of a put is below 100 bytes.
    fn default() -> Self {
        Self { session_in_flight: 65_536, session_answer_bytes: 16 * 1024 }
    }
}

/// Why the engine's content cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A record does not decode.
    #[error("the record {record} of the store is damaged: replace this member")]
    Damaged {
        /// Which.
        record: String,
    },
}

/// What a state that was replaced held, until it is dropped.
pub struct Replaced {
    _shared: Arc<Shared>,
}

/// The single writer, owned by the apply stage.
pub struct State {
    shared: Arc<Shared>,
    /// What readers find.
    current: Arc<ArcSwap<Shared>>,
    limits: Limits,
}

impl State {
    /// Takes over what the engine holds and rebuilds what is derived from it.
    ///
    /// # Errors
    /// [`StateError`] when a record does not decode.
    pub fn open(engine: Arc<dyn Engine>, limits: Limits) -> Result<Self, StateError> {
        check_records(&*engine)?;
        let shared = Arc::new(Shared::new(engine));
        Ok(Self { current: Arc::new(ArcSwap::new(Arc::clone(&shared))), shared, limits })
    }

    /// A reader of this state.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.current))
    }

    /// Goes on as another state, which holds what this one would hold later. Every reader of this one becomes a reader
    /// of that; what is being read or viewed ends where it began. Freeing what was may take long: the caller chooses
    /// where.
    pub fn replace(&mut self, with: Self) -> Replaced {
        let replaced = std::mem::replace(&mut self.shared, with.shared);
        self.current.store(Arc::clone(&self.shared));
        Replaced { _shared: replaced }
    }

    /// Applies the next entry, as one engine write.
    ///
    /// # Panics
    /// When `index` does not follow the applied one: the log's order is broken.
    pub fn apply(&mut self, index: LogIndex, term: Term, input: Input) -> Applied {
        let shared = &*self.shared;
        let position = shared.position();
        assert_eq!(index, position.applied.next(), "entries are applied in the order of the log");
        let mut workspace = Workspace::new(&*shared.engine, &shared.counts, position);
        let mut outcomes = Vec::new();
        match input {
            Input::Commands(entry) => {
                let mut context = EntryContext { index, limits: self.limits, opened: false };
                outcomes.reserve(entry.commands.len());
                for command in &entry.commands {
                    outcomes.push(apply::command(&mut workspace, &mut context, command));
                }
            }
            Input::Nothing => {}
            Input::ConfState(bytes) => workspace.set_small(SmallKey::ConfState, Some(bytes)),
        }
        let effects = workspace.finish(index, term);
        let compacted = effects.position.compacted;
        shared.write(effects.batch, effects.position);
        Applied {
            outcomes,
            changes: effects.changes,
            leases: effects.leases,
            compacted: (compacted != position.compacted).then_some(compacted),
        }
    }
}

/// Decodes every small record once, so that later reads can rely on them.
fn check_records(engine: &dyn Engine) -> Result<(), StateError> {
    for kind in [SmallKind::Lease, SmallKind::Member, SmallKind::Session, SmallKind::SessionAnswer] {
        let mut last = None;
        loop {
            let chunk = engine.scan_small(kind, last.as_ref(), CHUNK);
            for (key, value) in &chunk {
                let sound = match kind {
                    SmallKind::Lease => LeaseRecord::decode(value).is_some(),
                    SmallKind::Member => Member::decode(value.clone()).is_ok(),
                    SmallKind::Session => SessionRecord::decode(value.clone()).is_ok(),
                    _ => session::answer_decodes(value),
                };
                if !sound {
                    return Err(StateError::Damaged { record: format!("{key:?}") });
                }
            }
            match chunk.last() {
                Some((key, _)) if chunk.len() == CHUNK => last = Some(key.clone()),
                _ => break,
            }
        }
    }
    Ok(())
}
