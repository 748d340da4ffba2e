//! How many keys a read looks at, before it is made: from the counted index, so that asking costs next to nothing.
//!
//! ```text
//!  Range: its keys, a page's own, 1 for a count, and all changes since the revision it is read at
//!  Txn:   what its comparisons and both of its branches would take
//! ```
//!
//! Invariant: never too little by more than what the same entry's own commands add.

use internal_proto::{RangeRequest, RevisionFilter, TxnOperation, TxnRequest};

use super::Reader;

impl Reader {
    /// Sorting and filtering look at every key; a count looks at the counted index, a page at its own keys.
    pub(crate) fn weight_of_range(&self, range: &RangeRequest) -> u64 {
        if range.range.is_single() {
            return 1;
        }
        let whole = range.sort.is_some() || range.filter != RevisionFilter::default();
        let keys = match range.limit {
            _ if range.count_only => 1,
            limit if limit > 0 && !whole => limit.min(self.at_most(&range.range)),
            _ => self.at_most(&range.range),
        };
        let since = range.revision.map_or(0, |revision| self.revision().0.saturating_sub(revision.0));
        keys + u64::try_from(since).unwrap_or_default()
    }

    /// Whichever branch is taken.
    pub(crate) fn weight_of_txn(&self, txn: &TxnRequest) -> u64 {
        let compared: u64 = txn.compare.iter().map(|compare| self.at_most(&compare.range)).sum();
        let branches = txn.success.iter().chain(&txn.failure);
        compared + branches.map(|operation| self.weight_of_operation(operation)).sum::<u64>()
    }

    fn weight_of_operation(&self, operation: &TxnOperation) -> u64 {
        match operation {
            TxnOperation::Put(_) => 1,
            TxnOperation::DeleteRange(delete) => self.at_most(&delete.range),
            TxnOperation::Range(range) => self.weight_of_range(range),
            TxnOperation::Txn(inner) => self.weight_of_txn(inner),
        }
    }
}
