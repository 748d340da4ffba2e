//! What can be asked of a server, and a walk over the numbers in it that may be symbols.

use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    WatchCreateRequest, compare, request_op,
};

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// KV.Range
    Range(RangeRequest),
    /// KV.RangeStream, its messages merged
    RangeStream(RangeRequest),
    /// KV.Put
    Put(PutRequest),
    /// KV.DeleteRange
    Delete(DeleteRangeRequest),
    /// KV.Txn
    Txn(TxnRequest),
    /// KV.Compact
    Compact(CompactionRequest),
    /// Lease.LeaseGrant; a symbolic id asks the server to choose one and to remember it by that symbol
    Grant(LeaseGrantRequest),
    /// Lease.LeaseRevoke
    Revoke(i64),
    /// Lease.LeaseKeepAlive with one request
    KeepAlive(i64),
    /// Lease.LeaseTimeToLive, with the attached keys or without
    TimeToLive(i64, bool),
    /// Lease.LeaseLeases
    Leases,
    /// A watch creation on a stream
    Watch(Stream, WatchCreateRequest),
    /// A watch cancellation on a stream
    CancelWatch(Stream, i64),
    /// A progress request on a stream
    Progress(Stream),
    /// Waits until every watch stream has said all it has to say, and compares
    Settle,
}

/// One of the watch streams of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream(pub usize);

impl Stream {
    /// How many streams a sequence uses.
    pub const COUNT: usize = 4;

    /// Odd streams hold watches from now and from future revisions only: etcd answers no progress request while
    /// a watch of the stream waits for its first revision. Even ones hold watches from now and from the past.
    #[must_use]
    pub const fn looks_ahead(self) -> bool {
        self.0 % 2 == 1
    }
}

/// What a number in a request stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A revision
    Revision,
    /// A lease's id
    Lease,
}

/// Calls `visit` for every number of the operation that may be a symbol.
pub fn visit_numbers(operation: &mut Operation, visit: &mut dyn FnMut(&mut i64, Meaning)) {
    match operation {
        Operation::Range(request) | Operation::RangeStream(request) => visit_range(request, visit),
        Operation::Put(request) => visit(&mut request.lease, Meaning::Lease),
        Operation::Txn(request) => visit_txn(request, visit),
        Operation::Compact(request) => visit(&mut request.revision, Meaning::Revision),
        Operation::Grant(request) => visit(&mut request.id, Meaning::Lease),
        Operation::Revoke(id) | Operation::KeepAlive(id) | Operation::TimeToLive(id, _) => visit(id, Meaning::Lease),
        Operation::Watch(_, request) => visit(&mut request.start_revision, Meaning::Revision),
        Operation::Delete(_)
        | Operation::Leases
        | Operation::CancelWatch(..)
        | Operation::Progress(_)
        | Operation::Settle => {}
    }
}

fn visit_range(request: &mut RangeRequest, visit: &mut dyn FnMut(&mut i64, Meaning)) {
    visit(&mut request.revision, Meaning::Revision);
    visit(&mut request.min_mod_revision, Meaning::Revision);
    visit(&mut request.max_mod_revision, Meaning::Revision);
    visit(&mut request.min_create_revision, Meaning::Revision);
    visit(&mut request.max_create_revision, Meaning::Revision);
}

fn visit_txn(request: &mut TxnRequest, visit: &mut dyn FnMut(&mut i64, Meaning)) {
    for compare in &mut request.compare {
        visit_compare(compare, visit);
    }
    for RequestOp { request } in request.success.iter_mut().chain(&mut request.failure) {
        match request {
            Some(request_op::Request::RequestRange(range)) => visit_range(range, visit),
            Some(request_op::Request::RequestPut(put)) => visit(&mut put.lease, Meaning::Lease),
            Some(request_op::Request::RequestTxn(txn)) => visit_txn(txn, visit),
            Some(request_op::Request::RequestDeleteRange(_)) | None => {}
        }
    }
}

fn visit_compare(compare: &mut Compare, visit: &mut dyn FnMut(&mut i64, Meaning)) {
    use compare::TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};
    match &mut compare.target_union {
        Some(CreateRevision(revision) | ModRevision(revision)) => visit(revision, Meaning::Revision),
        Some(Lease(lease)) => visit(lease, Meaning::Lease),
        Some(Value(_) | Version(_)) | None => {}
    }
}
