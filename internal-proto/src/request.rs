//! What can be asked, whichever protocol asks it.
//!
//! The protocols check the shape of a request (an empty key, an unknown sort target) before they build one of these;
//! what depends on the store's state (a missing lease, a compacted revision) is decided where the state is.

use bytes::Bytes;

use crate::{KeyRange, LeaseId, Revision};

/// A request, in neutral form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read a range of keys.
    Range(RangeRequest),
    /// Write one key.
    Put(PutRequest),
    /// Delete a range of keys.
    DeleteRange(DeleteRangeRequest),
    /// Compare, then take one of two branches.
    Txn(TxnRequest),
    /// Forget history below a revision.
    Compact(CompactRequest),
    /// Create a lease.
    LeaseGrant(LeaseGrantRequest),
    /// End a lease and delete its keys.
    LeaseRevoke(LeaseId),
    /// Restart a lease's time.
    LeaseKeepAlive(LeaseId),
    /// Ask how long a lease has still to live.
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    /// List all leases.
    LeaseLeases,
    /// The node's own state.
    Status,
    /// The cluster's members.
    MemberList {
        /// Whether the list may be outdated.
        serializable: bool,
    },
}

/// Which way a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Into the replicated log, by the leader.
    Write,
    /// Any node, once it has applied what was committed when the request came.
    Linearizable,
    /// Any node, as it is.
    Serializable,
    /// The leader, from state that only it has.
    Leader,
}

impl Request {
    /// Which way the request goes. A transaction is a read if all it can do is range; etcd logs one that nests another.
    #[must_use]
    pub fn route(&self) -> Route {
        match self {
            Self::Range(range) if range.serializable => Route::Serializable,
            Self::MemberList { serializable: true } | Self::Status => Route::Serializable,
            Self::Range(_) | Self::MemberList { serializable: false } => Route::Linearizable,
            Self::Txn(txn) => txn.route(),
            Self::Put(_) | Self::DeleteRange(_) | Self::Compact(_) | Self::LeaseGrant(_) | Self::LeaseRevoke(_) => {
                Route::Write
            }
            Self::LeaseKeepAlive(_) | Self::LeaseTimeToLive(_) | Self::LeaseLeases => Route::Leader,
        }
    }

    /// The name for metrics and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Range(_) => "Range",
            Self::Put(_) => "Put",
            Self::DeleteRange(_) => "DeleteRange",
            Self::Txn(_) => "Txn",
            Self::Compact(_) => "Compact",
            Self::LeaseGrant(_) => "LeaseGrant",
            Self::LeaseRevoke(_) => "LeaseRevoke",
            Self::LeaseKeepAlive(_) => "LeaseKeepAlive",
            Self::LeaseTimeToLive(_) => "LeaseTimeToLive",
            Self::LeaseLeases => "LeaseLeases",
            Self::Status => "Status",
            Self::MemberList { .. } => "MemberList",
        }
    }
}

/// Read a range of keys. The default reads no key of the empty range, linearizably, at the current revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeRequest {
    /// The keys to read.
    pub range: KeyRange,
    /// At most so many keys; 0 for no limit.
    pub limit: u64,
    /// Read the store as it was at this revision; `None` for the current one.
    pub revision: Option<Revision>,
    /// The order of the answer; `None` for key order.
    pub sort: Option<Sort>,
    /// Answer what any node has, even if outdated.
    pub serializable: bool,
    /// Leave the values out.
    pub keys_only: bool,
    /// Answer the count alone.
    pub count_only: bool,
    /// Answer only keys whose revisions pass; the count is of all.
    pub filter: RevisionFilter,
}

/// How to order a range's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub target: SortTarget,
    /// Which way.
    pub order: SortOrder,
}

/// Which way a sorted answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// By what an answer is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortTarget {
    /// The key's bytes.
    Key,
    /// Writes since the creation.
    Version,
    /// The revision of the creation.
    Create,
    /// The revision of the last write.
    Mod,
    /// The value's bytes.
    Value,
}

/// Bounds on a key's revisions; `None` for no bound. Both ends are inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevisionFilter {
    /// The lowest `mod_revision`.
    pub min_mod: Option<Revision>,
    /// The highest `mod_revision`.
    pub max_mod: Option<Revision>,
    /// The lowest `create_revision`.
    pub min_create: Option<Revision>,
    /// The highest `create_revision`.
    pub max_create: Option<Revision>,
}

impl RevisionFilter {
    /// Whether a key with these revisions passes.
    #[must_use]
    pub fn admits(&self, modified: Revision, created: Revision) -> bool {
        self.min_mod.is_none_or(|bound| modified >= bound)
            && self.max_mod.is_none_or(|bound| modified <= bound)
            && self.min_create.is_none_or(|bound| created >= bound)
            && self.max_create.is_none_or(|bound| created <= bound)
    }
}

/// Write one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRequest {
    /// Never empty.
    pub key: Bytes,
    /// The value to store.
    pub value: PutValue,
    /// The lease to attach to.
    pub lease: PutLease,
    /// Answer with the version before.
    pub prev_kv: bool,
}

/// The value a put stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutValue {
    /// This one.
    Set(Bytes),
    /// The one stored already; an error where there is none.
    Keep,
}

/// The lease a put attaches its key to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutLease {
    /// This one; 0 detaches.
    Set(LeaseId),
    /// The one attached already; an error where there is no key.
    Keep,
}

/// Delete a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRangeRequest {
    /// The keys to delete.
    pub range: KeyRange,
    /// Answer with the versions deleted.
    pub prev_kv: bool,
}

/// Compare, then take one of two branches, all at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnRequest {
    /// All must hold for the success branch.
    pub compare: Vec<Compare>,
    /// Done in order if all comparisons hold.
    pub success: Vec<TxnOperation>,
    /// Done in order otherwise.
    pub failure: Vec<TxnOperation>,
}

impl TxnRequest {
    fn route(&self) -> Route {
        let mut serializable = true;
        for operation in self.success.iter().chain(&self.failure) {
            match operation {
                TxnOperation::Range(range) => serializable &= range.serializable,
                _ => return Route::Write,
            }
        }
        // Comparisons without an operation count as serializable in etcd; a linearizable answer is stronger.
        let reads = self.success.len() + self.failure.len();
        if serializable && reads > 0 { Route::Serializable } else { Route::Linearizable }
    }
}

/// One step of a transaction's branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOperation {
    /// Read a range.
    Range(RangeRequest),
    /// Write a key.
    Put(PutRequest),
    /// Delete a range.
    DeleteRange(DeleteRangeRequest),
    /// Compare and branch again. The comparisons see the state before the outermost transaction.
    Txn(TxnRequest),
}

/// A condition on every key of a range; an empty range is compared once, as a key with zero in every field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The keys that must satisfy the condition.
    pub range: KeyRange,
    /// How the stored side relates to the given one.
    pub operator: CompareOperator,
    /// What is compared, and with what.
    pub target: CompareTarget,
}

/// How the stored side relates to the given side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOperator {
    /// Stored = given.
    Equal,
    /// Stored > given.
    Greater,
    /// Stored < given.
    Less,
    /// Stored ≠ given.
    NotEqual,
    /// An operator that this version does not know: etcd takes it as satisfied.
    Unknown,
}

/// What of a key is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    /// Writes since the creation.
    Version(i64),
    /// The revision of the creation.
    Create(Revision),
    /// The revision of the last write.
    Mod(Revision),
    /// The value; never satisfied by a key that does not exist.
    Value(Bytes),
    /// The lease attached.
    Lease(LeaseId),
    /// A target that this version does not know: etcd takes both sides as equal.
    Unknown,
}

/// Forget history below a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactRequest {
    /// What is current at this revision stays readable.
    pub revision: Revision,
    /// Answer only when the history is gone from the store, durably.
    pub physical: bool,
}

/// Create a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrantRequest {
    /// 0 lets the proposing node choose.
    pub id: LeaseId,
    /// Seconds to live without a keepalive; raised to the node's minimum.
    pub ttl: i64,
}

/// Ask how long a lease has still to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimeToLiveRequest {
    /// The lease.
    pub id: LeaseId,
    /// List its keys too.
    pub keys: bool,
}
