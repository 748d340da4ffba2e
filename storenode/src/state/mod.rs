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

use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{
    AuthRevision, Entry, Error, Event, KeyRange, LeaseId, LogIndex, Member, RangeRequest, RangeResponse, Response,
    Revision, Term, TxnRequest, TxnResponse,
};

use crate::engine::{ChangeId, Engine, Sizes, SmallKey, Version};

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

/// The single writer, owned by the apply stage.
pub struct State {
    reader: Reader,
}

impl State {
    /// Takes over what the engine holds and rebuilds what is derived from it.
    ///
    /// # Errors
    /// [`StateError`] when a record does not decode.
    pub fn open(engine: Arc<dyn Engine>, limits: Limits) -> Result<Self, StateError> {
        let _ = (engine, limits);
        unimplemented!()
    }

    /// A reader of this state.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Applies the next entry, as one engine write.
    ///
    /// # Panics
    /// When `index` does not follow the applied one: the log's order is broken.
    pub fn apply(&mut self, index: LogIndex, term: Term, input: Input) -> Applied {
        let _ = (index, term, input);
        unimplemented!()
    }
}

/// Reads from any thread while the state applies.
#[derive(Clone)]
pub struct Reader {}

impl Reader {
    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        unimplemented!()
    }

    /// The compacted revision; -1 if never compacted.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        unimplemented!()
    }

    /// Every version that the compacted revision makes superfluous is gone up to here.
    #[must_use]
    pub fn compaction_done_through(&self) -> Revision {
        unimplemented!()
    }

    /// The last entry applied, and its term.
    #[must_use]
    pub fn applied(&self) -> (LogIndex, Term) {
        unimplemented!()
    }

    /// The revision of users, roles and permissions.
    #[must_use]
    pub fn auth(&self) -> AuthRevision {
        unimplemented!()
    }

    /// Reads a range. The response's revision is the store's at the time of the read.
    ///
    /// # Errors
    /// [`Error::Compacted`] and [`Error::FutureRevision`].
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        let _ = request;
        unimplemented!()
    }

    /// Answers a transaction that only reads.
    ///
    /// # Errors
    /// As [`Reader::range`], for any range of the branch taken.
    pub fn txn(&self, request: &TxnRequest) -> Result<TxnResponse, Error> {
        let _ = request;
        unimplemented!()
    }

    /// A lease.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<LeaseRecord> {
        let _ = id;
        unimplemented!()
    }

    /// All leases, by id.
    #[must_use]
    pub fn leases(&self) -> Vec<(LeaseId, LeaseRecord)> {
        unimplemented!()
    }

    /// The keys attached to a lease, in key order.
    #[must_use]
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Bytes> {
        let _ = id;
        unimplemented!()
    }

    /// The members, by id.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        unimplemented!()
    }

    /// The membership as raft saw it last.
    #[must_use]
    pub fn conf_state(&self) -> Option<Bytes> {
        unimplemented!()
    }

    /// The bytes the engine uses.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        unimplemented!()
    }

    /// One page of the changes in a range, from a revision on: for watchers that catch up. At least one revision with
    /// events if there is one, and not more than about `max_bytes` beyond that.
    ///
    /// # Errors
    /// [`Error::Compacted`] when `from` is below the compacted revision.
    pub fn changes(&self, range: &KeyRange, from: Revision, max_bytes: usize) -> Result<ChangePage, Error> {
        let _ = (range, from, max_bytes);
        unimplemented!()
    }

    /// Pins the current revision and applied index, and everything retained now, until the view is dropped.
    #[must_use]
    pub fn view(&self) -> View {
        unimplemented!()
    }

    /// etcd's HashKV at a revision, `None` for the current one.
    ///
    /// # Errors
    /// [`Error::Compacted`] and [`Error::FutureRevision`].
    pub fn hash(&self, revision: Option<Revision>) -> Result<StoreHash, Error> {
        let _ = revision;
        unimplemented!()
    }

    /// One step of the background compaction: looks at up to `budget` versions. Whether there is more to do now.
    #[must_use]
    pub fn compact_step(&self, budget: usize) -> bool {
        let _ = budget;
        unimplemented!()
    }
}

/// Everything the store holds at one applied index, for checkpoints and snapshots. Compaction pauses while it exists.
pub struct View {}

impl View {
    /// The last entry applied, and its term.
    #[must_use]
    pub fn applied(&self) -> (LogIndex, Term) {
        unimplemented!()
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        unimplemented!()
    }

    /// The compacted revision.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        unimplemented!()
    }

    /// Every small record except those that are derived.
    #[must_use]
    pub fn small_records(&self) -> &[(SmallKey, Bytes)] {
        unimplemented!()
    }

    /// The next up to `limit` retained versions after `after`, in the order of history; empty at the end.
    #[must_use]
    pub fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version> {
        let _ = (after, limit);
        unimplemented!()
    }
}
