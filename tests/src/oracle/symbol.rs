//! Numbers that only a running system knows, written as symbols.
//!
//! A sequence is generated before it runs and shortened afterwards, so it cannot name the revision it will be at or
//! the id that a server will choose for a lease. Such numbers lie in bands that no real one reaches:
//!
//! ```text
//!  |number| < 2^39       itself
//!  2^40 ± 2^38           the current revision ± n
//!  2^41 ± 2^38           the compacted revision ± n
//!  2^42 + n              the n-th lease whose id the server chose
//! ```

use super::operation::{Meaning, Operation, visit_numbers};

const CURRENT: i64 = 1 << 40;
const COMPACTED: i64 = 1 << 41;
const CHOSEN: i64 = 1 << 42;
const REACH: u64 = 1 << 38;
/// The id that stands for a chosen lease before it was granted: it exists nowhere.
const NOT_YET_GRANTED: i64 = 777_000_000;

/// The current revision plus `offset`.
#[must_use]
pub const fn current(offset: i64) -> i64 {
    CURRENT + offset
}

/// The compacted revision plus `offset`.
#[must_use]
pub const fn compacted(offset: i64) -> i64 {
    COMPACTED + offset
}

/// The lease of slot `slot`, whose id the server chooses.
#[must_use]
pub const fn chosen(slot: usize) -> i64 {
    // Slots are few.
    #[allow(clippy::cast_possible_wrap)]
    let slot = slot as i64;
    CHOSEN + slot
}

/// The slot that a lease's symbol names.
#[must_use]
pub fn slot(lease: i64) -> Option<usize> {
    usize::try_from(lease.checked_sub(CHOSEN)?).ok().filter(|&slot| slot < 1000)
}

/// Where a sequence has come to; equal on both systems.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The store's revision.
    pub current: i64,
    /// The revision of the last compaction, 0 before the first.
    pub compacted: i64,
}

impl Default for Position {
    fn default() -> Self {
        Self { current: 1, compacted: 0 }
    }
}

/// The ids that one system has chosen.
#[derive(Debug, Default)]
pub struct Chosen {
    /// By slot: the id that stands for it now.
    slots: Vec<Option<i64>>,
    /// In the order of the grants.
    granted: Vec<i64>,
}

impl Chosen {
    /// Remembers the id of a grant.
    pub fn remember(&mut self, slot: usize, id: i64) {
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(id);
        self.granted.push(id);
    }

    /// The number by which both systems call this lease: the order of its grant if its id was chosen by the server.
    #[must_use]
    pub fn common(&self, id: i64) -> i64 {
        self.granted.iter().rposition(|&granted| granted == id).map_or(id, chosen)
    }

    fn resolve(&self, slot: usize) -> i64 {
        let unknown = NOT_YET_GRANTED + chosen(slot) - CHOSEN;
        self.slots.get(slot).copied().flatten().unwrap_or(unknown)
    }
}

/// The operation in the numbers of one system.
#[must_use]
pub fn resolve(operation: &Operation, position: Position, chosen: &Chosen) -> Operation {
    let mut resolved = operation.clone();
    visit_numbers(&mut resolved, &mut |number, meaning| match meaning {
        Meaning::Revision if number.abs_diff(CURRENT) <= REACH => *number += position.current - CURRENT,
        Meaning::Revision if number.abs_diff(COMPACTED) <= REACH => *number += position.compacted - COMPACTED,
        Meaning::Revision => {}
        Meaning::Lease => {
            if let Some(slot) = slot(*number) {
                *number = chosen.resolve(slot);
            }
        }
    });
    match &mut resolved {
        // The id that a grant names by a symbol is the server's to choose.
        Operation::Grant(request) if slot(granted_id(operation)).is_some() => request.id = 0,
        Operation::Watch(stream, request) if request.start_revision > 0 => {
            let bound = if stream.looks_ahead() { i64::max } else { i64::min };
            let edge = if stream.looks_ahead() { position.current + 1 } else { position.current };
            request.start_revision = bound(request.start_revision, edge);
        }
        _ => {}
    }
    resolved
}

/// The id in a grant, 0 for any other operation.
#[must_use]
pub fn granted_id(operation: &Operation) -> i64 {
    if let Operation::Grant(request) = operation { request.id } else { 0 }
}
