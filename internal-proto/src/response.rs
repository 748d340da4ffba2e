//! What is answered, and the stamp that says where and when.

use bytes::Bytes;

use crate::{AuthRevision, KeyValue, LeaseId, LogIndex, Member, MemberId, Revision, SessionId, Term};

/// A response and the state of the node that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for.
    pub response: Response,
    /// For headers, the gateway's floor and the auth fence.
    pub stamp: Stamp,
}

/// The state of a node when it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The node that executed the request.
    pub member: MemberId,
    /// Its current revision; after a write, the revision that the write left behind.
    pub revision: Revision,
    /// Its raft term.
    pub term: Term,
    /// The revision of its users, roles and permissions.
    pub auth: AuthRevision,
}

/// A response, in neutral form. One variant per variant of `Request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Keys read.
    Range(RangeResponse),
    /// A key written.
    Put(PutResponse),
    /// Keys deleted.
    DeleteRange(DeleteRangeResponse),
    /// A branch taken.
    Txn(TxnResponse),
    /// History is out of reach, and if asked so, gone.
    Compact,
    /// A lease created.
    LeaseGrant(LeaseGrantResponse),
    /// A lease ended.
    LeaseRevoke,
    /// The seconds a lease has again to live; 0 if there is no such lease.
    LeaseKeepAlive {
        /// Seconds.
        ttl: i64,
    },
    /// How long a lease has still to live.
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    /// Every lease, the one that ends first foremost.
    LeaseLeases(Vec<LeaseId>),
    /// The node's own state.
    Status(StatusResponse),
    /// The cluster's members, by id.
    MemberList(Vec<Member>),
    /// A session opened: the answer to a gateway, not to a client.
    SessionOpened(SessionId),
    /// A session closed, or a member's record written: the answer to a gateway or node, not to a client.
    Done,
}

/// Keys read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// The revision that the read saw; inside a transaction that wrote, the transaction's own.
    pub revision: Revision,
    /// The keys, in the order asked for.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut keys off.
    pub more: bool,
    /// Keys in the range, whatever limit and filter say.
    pub count: u64,
}

/// A key written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutResponse {
    /// The revision of the write.
    pub revision: Revision,
    /// The version before, if asked for and there.
    pub prev_kv: Option<KeyValue>,
}

/// Keys deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRangeResponse {
    /// The revision of the deletion, or the current one if there was nothing to delete.
    pub revision: Revision,
    /// How many keys were deleted.
    pub deleted: u64,
    /// The versions deleted, if asked for.
    pub prev_kvs: Vec<KeyValue>,
}

/// A branch taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// The store's revision after the transaction.
    pub revision: Revision,
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// One response per operation of the branch taken.
    pub responses: Vec<TxnOperationResponse>,
}

/// The response to one step of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOperationResponse {
    /// Keys read.
    Range(RangeResponse),
    /// A key written.
    Put(PutResponse),
    /// Keys deleted.
    DeleteRange(DeleteRangeResponse),
    /// An inner branch taken.
    Txn(TxnResponse),
}

/// A lease created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrantResponse {
    /// The lease.
    pub id: LeaseId,
    /// Seconds granted, at least the node's minimum.
    pub ttl: i64,
}

/// How long a lease has still to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseTimeToLiveResponse {
    /// The lease.
    pub id: LeaseId,
    /// Seconds left; -1 if there is no such lease.
    pub ttl: i64,
    /// Seconds granted; 0 if there is no such lease.
    pub granted_ttl: i64,
    /// Its keys, if asked for.
    pub keys: Vec<Bytes>,
}

/// A node's own state, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusResponse {
    /// Bytes that the store occupies.
    pub db_size: u64,
    /// Bytes of them that hold data.
    pub db_size_in_use: u64,
    /// The limit on `db_size`, in bytes; 0 where none is set.
    pub quota: u64,
    /// Who leads, where that is known.
    pub leader: Option<MemberId>,
    /// The last index known to be committed.
    pub committed: LogIndex,
    /// The last index applied.
    pub applied: LogIndex,
    /// Receives the log but does not vote.
    pub learner: bool,
    /// What is wrong, in etcd's words.
    pub errors: Vec<String>,
}
