//! Transactions: nested, contradictory, too long, empty, with every compare.

use bytes::Bytes;
use proto::etcdserverpb::{Compare, RequestOp, TxnRequest, compare, request_op};
use rand::Rng;

use super::Generator;
use crate::oracle::symbol;

const DEPTH: usize = 3;
/// One more than etcd's default limit.
const TOO_MANY: usize = 129;

impl Generator {
    /// A transaction that etcd survives.
    pub(super) fn transaction(&mut self) -> TxnRequest {
        let mut txn = self.txn(0);
        end_deletions(&mut txn);
        txn
    }

    fn txn(&mut self, depth: usize) -> TxnRequest {
        if depth == 0 && self.chance(1) {
            return self.long_txn();
        }
        let compares = self.random.random_range(0..3);
        TxnRequest {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.branch(depth),
            failure: self.branch(depth),
        }
    }

    fn branch(&mut self, depth: usize) -> Vec<RequestOp> {
        let count = self.pick(&[0, 1, 1, 1, 2, 2, 3]);
        (0..count).map(|_| RequestOp { request: self.request(depth) }).collect()
    }

    fn request(&mut self, depth: usize) -> Option<request_op::Request> {
        use request_op::Request;
        Some(match self.random.random_range(0..100) {
            0..30 => {
                let mut range = self.range();
                // Most transactions have to get past the checks.
                range.revision = if self.chance(85) { 0 } else { range.revision };
                Request::RequestRange(range)
            }
            30..70 => {
                let mut put = self.put();
                if self.chance(80) {
                    (put.lease, put.ignore_value, put.ignore_lease) = (0, false, false);
                }
                Request::RequestPut(put)
            }
            70..84 => Request::RequestDeleteRange(self.delete()),
            84..99 if depth < DEPTH => Request::RequestTxn(self.txn(depth + 1)),
            84..99 => Request::RequestRange(self.range()),
            _ => return None,
        })
    }

    /// As many operations as allowed, or one too many, in one of the three lists.
    fn long_txn(&mut self) -> TxnRequest {
        let count = TOO_MANY - usize::from(self.chance(50));
        let mut txn = TxnRequest::default();
        match self.random.random_range(0..3) {
            0 => txn.compare = (0..count).map(|_| self.compare()).collect(),
            1 => txn.success = (0..count).map(|_| self.read()).collect(),
            _ => txn.failure = (0..count).map(|_| self.read()).collect(),
        }
        // A nested transaction has only what its parent leaves over.
        if self.chance(50) {
            txn.success.truncate(TOO_MANY - 3);
            let nested = TxnRequest { success: vec![self.read(), self.read(), self.read()], ..TxnRequest::default() };
            txn.success.push(RequestOp { request: Some(request_op::Request::RequestTxn(nested)) });
        }
        txn
    }

    fn read(&mut self) -> RequestOp {
        let mut range = self.range();
        range.revision = 0;
        RequestOp { request: Some(request_op::Request::RequestRange(range)) }
    }

    fn compare(&mut self) -> Compare {
        let (key, range_end) = self.space.range(&mut self.random);
        let target = self.enumeration(5);
        // Sometimes the value is another target's, or there is none.
        let union_of = if self.chance(93) { target } else { self.random.random_range(0..7) };
        let target_union = self.target_union(union_of);
        let result = self.compare_result(target_union.as_ref());
        Compare { result, target, key, range_end, target_union }
    }

    fn compare_result(&mut self, target: Option<&compare::TargetUnion>) -> i32 {
        let by_chosen_id = matches!(target, Some(compare::TargetUnion::Lease(id)) if symbol::slot(*id).is_some());
        // The order of two ids that servers chose is not the same on both.
        if by_chosen_id { self.pick(&[0, 3]) } else { self.pick(&[0, 0, 1, 1, 2, 2, 3, 3, 3, 4, -1]) }
    }

    fn target_union(&mut self, target: i32) -> Option<compare::TargetUnion> {
        use compare::TargetUnion;
        Some(match target {
            0 => TargetUnion::Version(self.random.random_range(-1..5)),
            1 => TargetUnion::CreateRevision(self.compared_revision()),
            2 => TargetUnion::ModRevision(self.compared_revision()),
            3 => TargetUnion::Value(if self.chance(10) { Bytes::new() } else { self.value() }),
            4 => TargetUnion::Lease(if self.chance(50) { 0 } else { self.lease() }),
            _ => return None,
        })
    }

    fn compared_revision(&mut self) -> i64 {
        if self.chance(30) { 0 } else { symbol::current(-self.random.random_range(-1..20)) }
    }
}

/// Gives every deletion an end. etcd does not see that one without an end and a put of the same transaction may name
/// the same key: 3.7.3 then ends, at once with "index out of range" or at a read after the next compaction.
fn end_deletions(txn: &mut TxnRequest) {
    const BEYOND_ALL_KEYS: &[u8] = &[0xff; 3];
    for RequestOp { request } in txn.success.iter_mut().chain(&mut txn.failure) {
        match request {
            Some(request_op::Request::RequestDeleteRange(delete)) if *delete.range_end == [0] => {
                delete.range_end = BEYOND_ALL_KEYS.into();
            }
            Some(request_op::Request::RequestTxn(txn)) => end_deletions(txn),
            _ => {}
        }
    }
}
