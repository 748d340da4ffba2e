//! How much an entry has to do, before it is applied: keys, from the counted index, so that asking costs next to
//! nothing.
//!
//! ```text
//!  Put: 1      DeleteRange: at most as many as the groups of its range have      LeaseRevoke: the lease's keys
//!  Txn: what its comparisons and both of its branches would take
//! ```
//!
//! Invariant: never too little by more than what the entry's own commands add.

use internal_proto::{Command, Operation, RangeRequest, TxnOperation, TxnRequest};

use crate::state::{Input, Reader};

/// An entry that touches more keys is large. As many as an entry has commands, and a little more, so that ordinary
/// entries are not: with some 5 µs a key, RocksDB takes longer, this is a quarter of the usual time between heartbeats.
const LARGE: u64 = 5_000;

/// Whether an entry would keep the raft thread for too long.
pub(super) fn is_large(reader: &Reader, input: &Input) -> bool {
    let Input::Commands(entry) = input else { return false };
    let mut keys = 0;
    entry.commands.iter().any(|command| {
        keys += weight(reader, command);
        keys > LARGE
    })
}

fn weight(reader: &Reader, command: &Command) -> u64 {
    match &command.operation {
        Operation::DeleteRange(delete) => reader.at_most(&delete.range),
        Operation::Txn(txn) => transaction(reader, txn),
        Operation::LeaseRevoke(id) => reader.attached(*id, LARGE + 1),
        _ => 1,
    }
}

fn transaction(reader: &Reader, txn: &TxnRequest) -> u64 {
    let compared: u64 = txn.compare.iter().map(|compare| reader.at_most(&compare.range)).sum();
    let branches = txn.success.iter().chain(&txn.failure);
    compared + branches.map(|operation| step(reader, operation)).sum::<u64>()
}

fn step(reader: &Reader, operation: &TxnOperation) -> u64 {
    match operation {
        TxnOperation::Put(_) => 1,
        TxnOperation::DeleteRange(delete) => reader.at_most(&delete.range),
        TxnOperation::Range(range) => read(reader, range),
        TxnOperation::Txn(inner) => transaction(reader, inner),
    }
}

/// Sorting and filtering look at every key; a count looks at the counted index, a page at its own keys.
fn read(reader: &Reader, range: &RangeRequest) -> u64 {
    let whole = range.sort.is_some() || range.filter != internal_proto::RevisionFilter::default();
    match range.limit {
        _ if range.count_only => 1,
        limit if limit > 0 && !whole => limit.min(reader.at_most(&range.range)),
        _ => reader.at_most(&range.range),
    }
}
