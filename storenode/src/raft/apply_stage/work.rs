//! What the apply stage does with an entry, wherever it runs.
//!
//! ```text
//!  entry ─► State::apply (one engine write) ─► lessor ─► watch hub ─► Done
//! ```
//!
//! Invariants: entries come in the order of the log, one at a time; by the time an entry is done, its events are with
//! the hub and its leases with the lessor. The lessor itself knows whether it decides: who leads may change meanwhile.

use std::sync::Arc;
use std::time::Duration;

use internal_proto::{LogIndex, MemberId, Revision, Stamp, Term};
use parking_lot::Mutex;

use crate::leader::lease_expiry::Lessor;
use crate::raft::member::Clock;
use crate::state::{Input, LeaseChange, Outcome, Reader, Replaced, State};
use crate::watch::Hub;

/// An entry to apply.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
    pub(crate) input: Input,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
    /// One per command.
    pub(crate) outcomes: Vec<Outcome>,
    /// The compacted revision, if the entry moved it.
    pub(crate) compacted: Option<Revision>,
    /// Where the store is.
    pub(crate) stamp: Stamp,
    /// How long nothing else could be applied; zero at home, where nothing else is done meanwhile either.
    pub(crate) away: Duration,
}

/// The single writer of the state, and who learns of its changes before anybody is answered.
pub(crate) struct ApplyWork {
    pub(crate) state: State,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lessor: Arc<Mutex<Lessor>>,
    pub(crate) clock: Clock,
    member: MemberId,
    reader: Reader,
}

impl ApplyWork {
    /// Goes on with a recovered state.
    pub(crate) fn new(member: MemberId, state: State, hub: Arc<Hub>, lessor: Arc<Mutex<Lessor>>, clock: Clock) -> Self {
        let reader = state.reader();
        Self { state, hub, lessor, clock, member, reader }
    }

    /// Applies an entry.
    pub(crate) fn perform(&mut self, task: Task) -> Done {
        let Task { index, term, input } = task;
        let applied = self.state.apply(index, term, input);
        self.note_leases(&applied.leases);
        let stamp = self.stamp(term);
        self.hub.publish(stamp, &applied.changes, applied.compacted);
        Done { index, term, outcomes: applied.outcomes, compacted: applied.compacted, stamp, away: Duration::ZERO }
    }

    /// Goes on with the state of another member's snapshot.
    pub(super) fn install(&mut self, state: State) -> Replaced {
        let replaced = self.state.replace(state);
        let (_, term) = self.reader.applied();
        self.hub.leap(self.stamp(term), self.reader.compacted());
        replaced
    }

    /// Reads of the applied state.
    pub(super) const fn reader(&self) -> &Reader {
        &self.reader
    }

    fn note_leases(&self, changes: &[LeaseChange]) {
        if changes.is_empty() {
            return;
        }
        // Counted from when the lease is there: never too early.
        let now = (self.clock)();
        let mut lessor = self.lessor.lock();
        for change in changes {
            match *change {
                LeaseChange::Granted { id, ttl } => lessor.granted(id, ttl, now),
                LeaseChange::Revoked { id } => lessor.revoked(id),
                LeaseChange::Checkpointed { .. } => {}
            }
        }
    }

    fn stamp(&self, term: Term) -> Stamp {
        Stamp { member: self.member, revision: self.reader.revision(), term, auth: self.reader.auth() }
    }
}
