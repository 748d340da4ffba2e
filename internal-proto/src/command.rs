//! What the replicated log holds: commands, many to an entry.
//!
//! ```text
//!  Entry (format 1) ─┬─ Command{origin, auth, Put}
//!                    ├─ Command{origin, auth, LeaseRevoke}      all that was queued when the entry was formed,
//!                    └─ Command{...}                            applied in order as one engine write
//! ```
//!
//! Invariant: a command holds all that applying it needs, so that every node reaches the same state from it. Time,
//! random ids and hashes are settled before it is proposed.

use crate::{
    AuthRevision, CompactRequest, Compare, CompareTarget, DeleteRangeRequest, LeaseGrantRequest, LeaseId, Member,
    PutRequest, PutValue, SessionId, TxnOperation, TxnRequest,
};

/// One change to the store, as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Whose write it is and which, so that a repeated one is not applied twice; `None` where nobody will repeat it.
    pub origin: Option<Origin>,
    /// The permissions that the command was authorized by; apply refuses an older revision than its own.
    pub auth: AuthRevision,
    /// What to do.
    pub operation: Operation,
}

impl Command {
    /// Roughly the bytes that the command takes in memory and in the log, for bounds on queues and entries.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// What a command costs besides its keys and values.
        const OVERHEAD: usize = 64;
        let content = match &self.operation {
            Operation::Put(put) => put_weight(put),
            Operation::DeleteRange(delete) => delete.range.start.len(),
            Operation::Txn(txn) => txn_weight(txn),
            Operation::LeaseCheckpoint(checkpoints) => checkpoints.len() * size_of::<LeaseCheckpoint>(),
            _ => 0,
        };
        OVERHEAD + content
    }
}

fn put_weight(put: &PutRequest) -> usize {
    let value = match &put.value {
        PutValue::Set(value) => value.len(),
        PutValue::Keep => 0,
    };
    put.key.len() + value
}

fn txn_weight(txn: &TxnRequest) -> usize {
    /// What a comparison or operation costs besides its keys and values.
    const OVERHEAD: usize = 48;
    let compare = |compare: &Compare| {
        let value = if let CompareTarget::Value(value) = &compare.target { value.len() } else { 0 };
        OVERHEAD + compare.range.start.len() + value
    };
    let operation = |operation: &TxnOperation| {
        OVERHEAD
            + match operation {
                TxnOperation::Range(range) => range.range.start.len(),
                TxnOperation::Put(put) => put_weight(put),
                TxnOperation::DeleteRange(delete) => delete.range.start.len(),
                TxnOperation::Txn(txn) => txn_weight(txn),
            }
    };
    txn.compare.iter().map(compare).sum::<usize>()
        + txn.success.iter().chain(&txn.failure).map(operation).sum::<usize>()
}

/// A write's place in its gateway's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The session, opened by a command of its own.
    pub session: SessionId,
    /// Rises by one with every write of the session.
    pub sequence: u64,
    /// Every answer up to this sequence has arrived and can be forgotten.
    pub floor: u64,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Write one key.
    Put(PutRequest),
    /// Delete a range of keys.
    DeleteRange(DeleteRangeRequest),
    /// Compare and branch.
    Txn(TxnRequest),
    /// Forget history.
    Compact(CompactRequest),
    /// Create a lease; its id is settled, its time to live within bounds.
    LeaseGrant(LeaseGrantRequest),
    /// End a lease and delete its keys.
    LeaseRevoke(LeaseId),
    /// Remember how long leases had still to live, so that a new leader does not extend them in full.
    LeaseCheckpoint(Vec<LeaseCheckpoint>),
    /// Open a session; its id is the command's log index.
    OpenSession,
    /// Forget a session and its answers.
    CloseSession(SessionId),
    /// Write a member's own record: its name, URLs and format version.
    PublishMember(Member),
}

/// How long one lease had still to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseCheckpoint {
    /// The lease.
    pub id: LeaseId,
    /// Seconds left when the leader wrote the checkpoint.
    pub remaining_ttl: i64,
}

/// The commands of one log entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Applied in this order.
    pub commands: Vec<Command>,
}

/// Why an entry's bytes cannot be applied. Both stop the node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A later version of this program wrote the entry.
    #[error("the log holds an entry of format {found}, this program knows formats up to {known}: start a newer one")]
    NewerFormat {
        /// The entry's format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The bytes passed the log's checksum but say nothing that can be applied.
    #[error("the log holds an entry that cannot be decoded: {0}")]
    Malformed(String),
}
