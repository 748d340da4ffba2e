//! Committed entries and their turn: each pass applies for a while, so that peers are not kept waiting.
//!
//! ```text
//!  Apply ─► unapplied ─► this pass: one entry, and more while it has not taken long ─► Applied
//!               ├──────► the next pass, after what has arrived meanwhile
//!               └──────► when the large entry that is away has come back, or a snapshot is installed
//! ```
//!
//! Invariants: entries are applied in the order of the log; an entry is applied whole. While one is away
//! - ticks, messages, the log, barriers, hand-overs and role changes go on: they need nothing that is away;
//! - nothing is proposed: nobody could be answered, and what waits gathers in fewer entries;
//! - nothing waits for the state's locks: no checkpoint or snapshot is begun, no compaction looked after;
//! - a snapshot that has come waits before raft is asked about it, and once raft has taken it nothing is applied
//!   before it is installed;
//! - a node that stops waits for the entry, so that its callers are answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use internal_proto::{LogIndex, Term};
use raft::eraftpb;

use super::applier::decode;
use super::apply_stage::{Done, Returned, Task};
use super::core::{Input, Output};
use super::fatal::Fatal;
use super::member::Member;
use crate::state;

/// A follower that is so far behind takes no more entries. Its leader sends them again.
const MAX_BYTES: usize = 64 << 20;
/// What was only just handed out to who has been away; a follower that keeps up rarely has so much.
const BEHIND_BYTES: usize = 1 << 20;

/// Committed and not yet applied.
#[derive(Default)]
pub(super) struct Unapplied {
    /// Each with the end of the pass that brought it.
    entries: VecDeque<(Instant, eraftpb::Entry)>,
    bytes: usize,
}

impl Unapplied {
    pub(super) fn extend(&mut self, entries: Vec<eraftpb::Entry>, pass_ends: Instant) {
        self.bytes += entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        self.entries.extend(entries.into_iter().map(|entry| (pass_ends, entry)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is more than should wait.
    pub(super) const fn is_too_long(&self) -> bool {
        self.bytes >= MAX_BYTES
    }

    /// Whether there is more than a follower has that keeps up: it applies an entry in the pass that brings it, or in
    /// the next. A pass takes so long.
    fn is_behind(&self, pass: Duration, now: Instant) -> bool {
        let waits = |(pass_ends, _): &(Instant, _)| now > *pass_ends + pass;
        self.bytes >= BEHIND_BYTES || self.entries.front().is_some_and(waits)
    }

    /// A snapshot holds all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn pop_front(&mut self) -> Option<eraftpb::Entry> {
        let (_, entry) = self.entries.pop_front()?;
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

    /// Whether the state is here, and will not be another one soon.
    pub(super) const fn may_apply(&self) -> bool {
        !self.applier.is_away() && !self.snapshots.is_install_due()
    }

    /// Whether clients would wait if this member led: it would have to apply much before it answers.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        !self.may_apply() || self.unapplied.is_behind(self.pace.bearable, now)
    }

    /// Applies what is committed, at least one entry, until the pass has taken long enough or an entry goes away.
    pub(super) fn apply(&mut self, follow_up: &mut Vec<Output>) -> Result<(), Fatal> {
        let mut last = None;
        let mut now = (self.clock)();
        while (last.is_none() || now < self.pass_ends)
            && self.may_apply()
            && let Some(entry) = self.unapplied.pop_front()
        {
            let (index, term) = (LogIndex(entry.index), Term(entry.term));
            let input = match entry.get_entry_type() {
                eraftpb::EntryType::EntryNormal => decode(entry.data)?,
                _ => self.change_members(&entry)?,
            };
            let Some(done) = self.applier.begin(Task { index, term, input }, now) else { break };
            self.finish(done, now);
            last = Some(index);
            now = (self.clock)();
        }
        if let Some(last) = last {
            self.note_applied(last, follow_up);
        }
        Ok(())
    }

    /// A thread has come back with an entry applied.
    pub(super) fn welcome(&mut self, returned: Returned) -> Result<(), Fatal> {
        let done = self.applier.welcome(returned);
        self.take_applied(done)
    }

    /// Takes up what had to wait while an entry was away.
    pub(super) fn take_applied(&mut self, done: Done) -> Result<(), Fatal> {
        let now = (self.clock)();
        let (index, away) = (done.index, done.away);
        self.finish(done, now);
        if away > self.pace.election {
            tracing::info!(%index, ?away, "a large entry is applied");
            // Keepalives and numbered writes waited as long.
            self.applier.restart_deadlines(now);
        }
        self.applier.compacted_through(self.applier.reader().compaction_done_through());
        let mut outputs = Vec::new();
        self.note_applied(index, &mut outputs);
        self.perform_from(outputs)?;
        self.offer_snapshot()
    }

    fn finish(&mut self, done: Done, now: Instant) {
        if self.applier.finish(done, self.role, now).is_some() {
            self.background.compact();
        }
    }

    fn note_applied(&mut self, last: LogIndex, follow_up: &mut Vec<Output>) {
        self.metrics.applied(last, self.applier.pending());
        self.core.step(Input::Applied(last), follow_up);
    }

    fn change_members(&mut self, entry: &eraftpb::Entry) -> Result<state::Input, Fatal> {
        // Whoever becomes a voter may lead next: from here on a barrier needs a round.
        self.shared.set_sole_leader(false);
        super::membership::change(&mut self.core, entry)
    }
}
