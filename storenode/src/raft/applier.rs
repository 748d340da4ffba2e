//! What the raft thread does before and after an entry is applied: who waits for it, and what follows from it.
//!
//! ```text
//!  entry ─► begin ─► apply stage: state, lessor, watch hub ─► finish ─► applied index ─► responders
//!                    at home, or away for a while: everything here goes on meanwhile
//! ```
//!
//! Invariants: a caller is answered only after its entry is applied and its events are with the hub, so a client that
//! has its answer finds the write in every read and every new watch. While an entry is away no lease or session is
//! declared over: what would keep it alive may wait for that entry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{
    Answer, Command, Entry, Error, LeaseId, LogIndex, Operation, Responder, Response, Revision, SessionId, Stamp, Term,
};
use parking_lot::Mutex;

use super::apply_stage::{ApplyStage, Done, Returned, Task};
use super::core::Role;
use super::proposals::{Proposals, Waiter};
use super::shared::Shared;
use crate::leader::lease_expiry::Lessor;
use crate::leader::session_expiry::SessionExpiry;
use crate::state::{Input, Outcome, Reader, Replaced, State};

/// The apply stage, and all that the raft thread keeps about it.
pub(crate) struct Applier {
    stage: ApplyStage,
    reader: Reader,
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
    /// Nobody waits yet. `reader` reads the state of the stage.
    pub(crate) fn new(
        stage: ApplyStage,
        reader: Reader,
        lessor: Arc<Mutex<Lessor>>,
        shared: Arc<Shared>,
        grace: Duration,
    ) -> Self {
        Self {
            stage,
            reader,
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

    /// Whether an entry is being applied elsewhere.
    pub(crate) const fn is_away(&self) -> bool {
        self.stage.is_away()
    }

    /// Applies the next entry, or has it applied: then what becomes of it comes later.
    pub(crate) fn begin(&mut self, task: Task, now: Instant) -> Option<Done> {
        self.sessions.note(&task.input, now);
        self.stage.begin(task)
    }

    /// A pass begins. In a simulation: what has come back by now.
    pub(crate) fn pass(&mut self) -> Option<Done> {
        self.stage.pass()
    }

    /// What a thread has come back with.
    pub(crate) fn welcome(&mut self, returned: Returned) -> Done {
        self.stage.welcome(returned)
    }

    /// Waits for what is away. From here on nothing goes away.
    pub(crate) fn come_home(&mut self) {
        self.stage.come_home();
    }

    /// Draws the consequences of an applied entry. Returns the revision to compact to, if the entry moved it.
    pub(crate) fn finish(&mut self, done: Done, role: Role, now: Instant) -> Option<Revision> {
        let Done { index, term, outcomes, compacted, stamp, .. } = done;
        self.keep_deadlines(&outcomes, term, role, now);
        self.shared.set_applied(index);
        if let Some(waiters) = self.proposals.take(index, term) {
            self.answer(waiters, outcomes, stamp);
        }
        compacted
    }

    /// Goes on with the state of another member's snapshot.
    pub(crate) fn install(&mut self, state: State) -> Replaced {
        let replaced = self.stage.install(state);
        self.shared.set_applied(self.reader.applied().0);
        replaced
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

    /// Begins to decide about leases and sessions with the first entry of this leader's term.
    fn keep_deadlines(&mut self, outcomes: &[Outcome], term: Term, role: Role, now: Instant) {
        let leads = role.leads && term == role.term;
        if leads {
            let mut lessor = self.lessor.lock();
            if !lessor.is_active() {
                lessor.promote(self.leases(), now, self.grace);
            }
        }
        if leads && !self.sessions.is_active() {
            self.sessions.promote(self.reader.sessions(), now);
            return;
        }
        for outcome in outcomes {
            if let Ok(Response::SessionOpened(id)) = outcome.result {
                self.sessions.used(id, now);
            }
        }
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
