//! How much an entry has to do, before it is applied: keys, from the counted index, so that asking costs next to
//! nothing.
//!
//! ```text
//!  Put: 1      DeleteRange: at most as many as the groups of its range have      LeaseRevoke: the lease's keys
//!  Txn: state/weight.rs
//! ```
//!
//! Invariant: never too little by more than what the entry's own commands add.

use internal_proto::{Command, Operation};

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
        Operation::Txn(txn) => reader.weight_of_txn(txn),
        Operation::LeaseRevoke(id) => reader.attached(*id, LARGE + 1),
        _ => 1,
    }
}
