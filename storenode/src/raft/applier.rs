//! The apply stage: committed entries become state, events and answers, in that order.
//!
//! ```text
//!  entry ─► State::apply (one engine write) ─► lessor ─► watch hub ─► applied index ─► responders
//! ```
//!
//! Invariants: a caller is answered only after its entry is applied and its events are with the hub, so a client that
//! has its answer finds the write in every read and every new watch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{
    Answer, Command, Entry, Error, LeaseId, LogIndex, Operation, Responder, Response, Revision, SessionId, Stamp, Term,
};
use parking_lot::Mutex;

use super::core::Role;
use super::proposals::{Proposals, Waiter};
use super::shared::Shared;
use crate::leader::lease_expiry::Lessor;
use crate::leader::session_expiry::SessionExpiry;
use crate::state::{Applied, Input, LeaseChange, Outcome, Reader, State};
use crate::watch::Hub;

/// State, and all that learns of its changes.
pub(crate) struct Applier {
    state: State,
    reader: Reader,
    hub: Arc<Hub>,
    lessor: Arc<Mutex<Lessor>>,
    sessions: SessionExpiry,
    shared: Arc<Shared>,
    proposals: Proposals,
    /// Answers that wait until history is gone through a revision.
    physical: Vec<(Revision, Responder, Answer)>,
    /// Added to every lease's time when this node begins to lead.
    grace: Duration,
}

impl Applier {
    /// A stage over a recovered state.
    pub(crate) fn new(
        state: State,
        hub: Arc<Hub>,
        lessor: Arc<Mutex<Lessor>>,
        shared: Arc<Shared>,
        grace: Duration,
    ) -> Self {
        let reader = state.reader();
        Self {
            state,
            reader,
            hub,
            lessor,
            sessions: SessionExpiry::default(),
            shared,
            proposals: Proposals::default(),
            physical: Vec::new(),
            grace,
        }
    }

    /// Remembers who waits for a proposed entry.
    pub(crate) fn proposed(&mut self, index: LogIndex, term: Term, waiters: Vec<Option<Waiter>>) {
        self.proposals.insert(index, term, waiters);
    }

    /// Applies one entry. Returns the revision to compact to, if the entry moved it.
    pub(crate) fn apply(
        &mut self,
        index: LogIndex,
        term: Term,
        input: Input,
        role: Role,
        now: Instant,
    ) -> Option<Revision> {
        self.sessions.note(&input, now);
        let applied = self.state.apply(index, term, input);
        self.keep_deadlines(&applied, term, role, now);
        self.keep_sessions(&applied, term, role, now);
        let stamp = self.stamp(term);
        self.hub.publish(stamp, &applied.changes, applied.compacted);
        self.shared.set_applied(index);
        if let Some(waiters) = self.proposals.take(index, term) {
            self.answer(waiters, applied.outcomes, stamp);
        }
        applied.compacted
    }

    /// Goes on with the state of another member's snapshot.
    pub(crate) fn install(&mut self, state: State) {
        self.state.replace(state);
        let (index, term) = self.reader.applied();
        self.hub.leap(self.stamp(term), self.reader.compacted());
        self.shared.set_applied(index);
    }

    /// Answers who waited for history to go.
    pub(crate) fn compacted_through(&mut self, done: Revision) {
        let (ready, waiting) = std::mem::take(&mut self.physical).into_iter().partition(|(at, ..)| *at <= done);
        self.physical = waiting;
        let ready: Vec<(Revision, Responder, Answer)> = ready;
        for (_, responder, answer) in ready {
            responder.send(Ok(answer));
        }
    }

    /// This node no longer leads, or stops: what it proposed may still be applied, but nobody here will know.
    pub(crate) fn fail_all(&mut self, error: Error) {
        self.proposals.fail_all(error);
        for (_, responder, _) in self.physical.drain(..) {
            responder.send(Err(error));
        }
    }

    /// Entries proposed and not yet applied.
    pub(crate) fn pending(&self) -> usize {
        self.proposals.len()
    }

    /// Leases whose time is over and whose end is to be proposed.
    pub(crate) fn expired(&self, now: Instant) -> Vec<LeaseId> {
        self.lessor.lock().expired(now)
    }

    /// Sessions that nobody uses and whose end is to be proposed.
    pub(crate) fn idle_sessions(&mut self, now: Instant) -> Vec<SessionId> {
        self.sessions.expired(now)
    }

    /// Notes revocations on their way into the log: their leases are no longer renewed.
    pub(crate) fn revoking(&self, commands: &[Command]) {
        self.each_revocation(commands, Lessor::revoking);
    }

    /// Notes that commands did not get into the log.
    pub(crate) fn not_proposed(&self, commands: &[Command]) {
        self.each_revocation(commands, Lessor::revocation_lost);
    }

    /// The clock stood still for longer than an election takes: keepalives may be queued in the sockets, so every
    /// lease gets its time again.
    pub(crate) fn restart_deadlines(&mut self, now: Instant) {
        if self.sessions.is_active() {
            self.sessions.promote(self.reader.sessions(), now);
        }
        let mut lessor = self.lessor.lock();
        if lessor.is_active() {
            lessor.promote(self.leases(), now, self.grace);
        }
    }

    /// Stops deciding about leases and sessions.
    pub(crate) fn demote(&mut self) {
        self.sessions.demote();
        self.lessor.lock().demote();
    }

    /// Reads of the applied state.
    pub(crate) const fn reader(&self) -> &Reader {
        &self.reader
    }

    fn each_revocation(&self, commands: &[Command], note: fn(&mut Lessor, LeaseId)) {
        for command in commands {
            if let Operation::LeaseRevoke(id) = command.operation {
                note(&mut self.lessor.lock(), id);
            }
        }
    }

    fn leases(&self) -> Vec<(LeaseId, i64, i64)> {
        let leases = self.reader.leases();
        leases.into_iter().map(|(id, lease)| (id, lease.ttl, lease.remaining)).collect()
    }

    fn keep_deadlines(&self, applied: &Applied, term: Term, role: Role, now: Instant) {
        let first_of_term = role.leads && term == role.term;
        if applied.leases.is_empty() && !first_of_term {
            return;
        }
        let mut lessor = self.lessor.lock();
        if first_of_term && !lessor.is_active() {
            lessor.promote(self.leases(), now, self.grace);
            return;
        }
        for change in &applied.leases {
            match *change {
                LeaseChange::Granted { id, ttl } => lessor.granted(id, ttl, now),
                LeaseChange::Revoked { id } => lessor.revoked(id),
                LeaseChange::Checkpointed { .. } => {}
            }
        }
    }

    fn keep_sessions(&mut self, applied: &Applied, term: Term, role: Role, now: Instant) {
        if role.leads && term == role.term && !self.sessions.is_active() {
            self.sessions.promote(self.reader.sessions(), now);
            return;
        }
        for outcome in &applied.outcomes {
            if let Ok(Response::SessionOpened(id)) = outcome.result {
                self.sessions.used(id, now);
            }
        }
    }

    fn stamp(&self, term: Term) -> Stamp {
        Stamp { member: self.shared.member(), revision: self.reader.revision(), term, auth: self.reader.auth() }
    }

    fn answer(&mut self, waiters: Vec<Option<Waiter>>, outcomes: Vec<Outcome>, stamp: Stamp) {
        for (waiter, outcome) in waiters.into_iter().zip(outcomes) {
            let Some(Waiter { respond, physical }) = waiter else { continue };
            let stamp = Stamp { revision: outcome.revision, ..stamp };
            match (outcome.result, physical) {
                (Ok(response), Some(revision)) => self.physical.push((revision, respond, Answer { response, stamp })),
                (result, _) => respond.send(result.map(|response| Answer { response, stamp })),
            }
        }
        if !self.physical.is_empty() {
            self.compacted_through(self.reader.compaction_done_through());
        }
    }
}

/// What an entry's bytes mean to the state.
///
/// # Errors
/// The bytes passed the log's checksum but cannot be applied: the node must stop.
pub(crate) fn decode(data: bytes::Bytes) -> Result<Input, internal_proto::EntryError> {
    if data.is_empty() { Ok(Input::Nothing) } else { Entry::decode(data).map(Input::Commands) }
}
