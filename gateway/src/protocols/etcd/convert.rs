//! From etcd's messages to neutral requests.
//!
//! The messages are checked already (`validate`), so nothing here fails.

use internal_proto::{
    CompactRequest, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange, LeaseGrantRequest, LeaseId,
    LeaseTimeToLiveRequest, PutLease, PutRequest, PutValue, RangeRequest, Revision, RevisionFilter, Sort, SortOrder,
    SortTarget, TxnOperation, TxnRequest,
};
use proto::etcdserverpb as wire;
use wire::compare::{CompareResult, CompareTarget as WireTarget, TargetUnion};
use wire::range_request::{SortOrder as WireOrder, SortTarget as WireSortTarget};
use wire::request_op::Request as WireOperation;

use super::limited_sort;

/// A read.
pub(super) fn range(request: &wire::RangeRequest) -> RangeRequest {
    let asked = RangeRequest {
        range: KeyRange::from_wire(request.key.clone(), request.range_end.clone()),
        limit: u64::try_from(request.limit).unwrap_or(0),
        // A negative one is passed on: it means the current revision, but a compacted one within a transaction.
        revision: (request.revision != 0).then_some(Revision(request.revision)),
        sort: sort(request),
        serializable: request.serializable,
        keys_only: request.keys_only,
        count_only: request.count_only,
        filter: filter(request),
    };
    if limited_sort::applies(request) { limited_sort::widen(asked) } else { asked }
}

fn filter(request: &wire::RangeRequest) -> RevisionFilter {
    let bound = |revision: i64| (revision != 0).then_some(Revision(revision));
    RevisionFilter {
        min_mod: bound(request.min_mod_revision),
        max_mod: bound(request.max_mod_revision),
        min_create: bound(request.min_create_revision),
        max_create: bound(request.max_create_revision),
    }
}

/// Key order is the store's own, so it needs no sorting.
fn sort(request: &wire::RangeRequest) -> Option<Sort> {
    let target = sort_target(request.sort_target());
    match request.sort_order() {
        WireOrder::Descend => Some(Sort { target, order: SortOrder::Descend }),
        WireOrder::None | WireOrder::Ascend if target == SortTarget::Key => None,
        WireOrder::None | WireOrder::Ascend => Some(Sort { target, order: SortOrder::Ascend }),
    }
}

fn sort_target(target: WireSortTarget) -> SortTarget {
    match target {
        WireSortTarget::Key => SortTarget::Key,
        WireSortTarget::Version => SortTarget::Version,
        WireSortTarget::Create => SortTarget::Create,
        WireSortTarget::Mod => SortTarget::Mod,
        WireSortTarget::Value => SortTarget::Value,
    }
}

/// A write.
pub(super) fn put(request: &wire::PutRequest) -> PutRequest {
    PutRequest {
        key: request.key.clone(),
        value: if request.ignore_value { PutValue::Keep } else { PutValue::Set(request.value.clone()) },
        lease: if request.ignore_lease { PutLease::Keep } else { PutLease::Set(LeaseId(request.lease)) },
        prev_kv: request.prev_kv,
    }
}

/// A deletion.
pub(super) fn delete_range(request: &wire::DeleteRangeRequest) -> DeleteRangeRequest {
    DeleteRangeRequest {
        range: KeyRange::from_wire(request.key.clone(), request.range_end.clone()),
        prev_kv: request.prev_kv,
    }
}

/// A transaction.
pub(super) fn txn(request: &wire::TxnRequest) -> TxnRequest {
    TxnRequest {
        compare: request.compare.iter().map(compare).collect(),
        success: operations(&request.success),
        failure: operations(&request.failure),
    }
}

fn operations(operations: &[wire::RequestOp]) -> Vec<TxnOperation> {
    operations.iter().filter_map(|operation| operation.request.as_ref()).map(operation).collect()
}

fn operation(operation: &WireOperation) -> TxnOperation {
    match operation {
        WireOperation::RequestRange(request) => TxnOperation::Range(range(request)),
        WireOperation::RequestPut(request) => TxnOperation::Put(put(request)),
        WireOperation::RequestDeleteRange(request) => TxnOperation::DeleteRange(delete_range(request)),
        WireOperation::RequestTxn(request) => TxnOperation::Txn(txn(request)),
    }
}

fn compare(compare: &wire::Compare) -> Compare {
    let operator = match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => CompareOperator::Equal,
        Ok(CompareResult::Greater) => CompareOperator::Greater,
        Ok(CompareResult::Less) => CompareOperator::Less,
        Ok(CompareResult::NotEqual) => CompareOperator::NotEqual,
        Err(_) => CompareOperator::Unknown,
    };
    Compare {
        range: KeyRange::from_wire(compare.key.clone(), compare.range_end.clone()),
        operator,
        target: compare_target(compare),
    }
}

/// The target decides; what is given for another target counts as zero, as in etcd.
fn compare_target(compare: &wire::Compare) -> CompareTarget {
    let given = compare.target_union.as_ref();
    match WireTarget::try_from(compare.target) {
        Ok(WireTarget::Version) => CompareTarget::Version(match given {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        Ok(WireTarget::Create) => CompareTarget::Create(match given {
            Some(TargetUnion::CreateRevision(revision)) => Revision(*revision),
            _ => Revision(0),
        }),
        Ok(WireTarget::Mod) => CompareTarget::Mod(match given {
            Some(TargetUnion::ModRevision(revision)) => Revision(*revision),
            _ => Revision(0),
        }),
        Ok(WireTarget::Value) => CompareTarget::Value(match given {
            Some(TargetUnion::Value(value)) => value.clone(),
            _ => bytes::Bytes::new(),
        }),
        Ok(WireTarget::Lease) => CompareTarget::Lease(match given {
            Some(TargetUnion::Lease(lease)) => LeaseId(*lease),
            _ => LeaseId(0),
        }),
        Err(_) => CompareTarget::Unknown,
    }
}

/// A compaction.
pub(super) const fn compact(request: &wire::CompactionRequest) -> CompactRequest {
    CompactRequest { revision: Revision(request.revision), physical: request.physical }
}

/// A new lease.
pub(super) const fn lease_grant(request: &wire::LeaseGrantRequest) -> LeaseGrantRequest {
    LeaseGrantRequest { id: LeaseId(request.id), ttl: request.ttl }
}

/// A question about a lease.
pub(super) const fn lease_time_to_live(request: &wire::LeaseTimeToLiveRequest) -> LeaseTimeToLiveRequest {
    LeaseTimeToLiveRequest { id: LeaseId(request.id), keys: request.keys }
}
