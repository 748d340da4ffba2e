//! Committed entries and their turn: each pass applies for a while, so that peers are not kept waiting.
//!
//! ```text
//!  Apply ─► unapplied ─► this pass: one entry, and more while it has not taken long ─► Applied
//!               └──────► the next pass, after what has arrived meanwhile
//! ```
//!
//! Invariants: entries are applied in the order of the log; an entry is applied whole.

use std::collections::VecDeque;

use internal_proto::{LogIndex, Term};
use raft::eraftpb;

use super::applier::decode;
use super::core::{Input, Output};
use super::fatal::Fatal;
use super::member::Member;
use crate::state;

/// A follower that is so far behind takes no more entries. Its leader sends them again.
const MAX_BYTES: usize = 64 << 20;

/// Committed and not yet applied.
#[derive(Default)]
pub(super) struct Unapplied {
    entries: VecDeque<eraftpb::Entry>,
    bytes: usize,
}

impl Unapplied {
    pub(super) fn extend(&mut self, entries: Vec<eraftpb::Entry>) {
        self.bytes += entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        self.entries.extend(entries);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is more than should wait.
    pub(super) const fn is_too_long(&self) -> bool {
        self.bytes >= MAX_BYTES
    }

    /// A snapshot holds all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn pop_front(&mut self) -> Option<eraftpb::Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.data.len();
        Some(entry)
    }
}

impl Member {
    /// Goes on with what earlier passes left.
    pub(super) fn apply_backlog(&mut self) -> Result<(), Fatal> {
        let mut outputs = Vec::new();
        self.apply(&mut outputs)?;
        self.perform_from(outputs)
    }

    /// Applies what is committed, at least one entry, until the pass has taken long enough.
    pub(super) fn apply(&mut self, follow_up: &mut Vec<Output>) -> Result<(), Fatal> {
        let mut last = None;
        let mut now = (self.clock)();
        while (last.is_none() || now < self.pass_ends)
            && let Some(entry) = self.unapplied.pop_front()
        {
            let (index, term) = (LogIndex(entry.index), Term(entry.term));
            let input = match entry.get_entry_type() {
                eraftpb::EntryType::EntryNormal => decode(entry.data)?,
                _ => self.change_members(&entry)?,
            };
            if self.applier.apply(index, term, input, self.role, now).is_some() {
                self.background.compact();
            }
            last = Some(index);
            now = (self.clock)();
        }
        if let Some(last) = last {
            self.metrics.applied(last, self.applier.pending());
            self.core.step(Input::Applied(last), follow_up);
        }
        Ok(())
    }

    fn change_members(&mut self, entry: &eraftpb::Entry) -> Result<state::Input, Fatal> {
        // Whoever becomes a voter may lead next: from here on a barrier needs a round.
        self.shared.set_sole_leader(false);
        super::membership::change(&mut self.core, entry)
    }
}
