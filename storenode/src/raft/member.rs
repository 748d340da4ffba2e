//! One member at work, without a loop: whoever drives it gives it what arrived and a clock.
//!
//! ```text
//!  arrivals ─► step the core ─► propose ─► perform outputs ─► one sync ─► again until quiet
//! ```
//!
//! Invariants: outputs are performed in their order; one pass makes one group of everything it logged; time moves the
//! core only through ticks, and never more than one election timeout at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{AuthRevision, Command, Error, LeaseId, LogIndex, Operation, Responder, Term};
use raft::eraftpb;

use super::applier::{Applier, decode};
use super::barriers::Barriers;
use super::core::{Core, Input, Output, Role};
use super::failover::Failover;
use super::fatal::Fatal;
use super::forward::forwarded;
use super::hand_over::HandOver;
use super::inbox::{Arrivals, StageEvent};
use super::log_stage::LogStage;
use super::proposals::Waiter;
use super::shared::Shared;
use super::transport::{PeerMessage, Transport};
use crate::background::Background;
use crate::metrics::Metrics;
use crate::state;

/// An entry holds at most so many bytes, or one command: what a follower takes without delaying its heartbeats.
const MAX_ENTRY_BYTES: usize = 4 << 20;

/// What time it is, for whoever must know.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A member's parts.
pub(crate) struct Member {
    pub(crate) core: Core,
    pub(crate) log: LogStage,
    pub(crate) applier: Applier,
    pub(crate) shared: Arc<Shared>,
    pub(crate) background: Background,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
    pub(crate) barriers: Barriers,
    pub(crate) role: Role,
    pub(crate) failover: Failover,
    pub(crate) hand_over: HandOver,
}

/// How a member keeps time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two ticks of the core.
    pub(crate) tick: Duration,
    /// The shortest wait for a leader before an election; a longer gap between ticks means that the process stood
    /// still.
    pub(crate) election: Duration,
}

impl Member {
    /// A lone voter need not wait for anybody to lead.
    pub(crate) fn begin(&mut self) -> Result<(), Fatal> {
        if self.core.is_sole_voter() { self.step(Input::Campaign) } else { Ok(()) }
    }

    /// Tells all who wait that nothing more will come.
    pub(crate) fn end(&mut self, error: Error) {
        self.shared.set_sole_leader(false);
        self.applier.fail_all(error);
        self.barriers.fail_all(error);
        self.hand_over.fail(error);
        self.background.join();
    }

    /// Ticks once for every period that has passed, as far as that makes sense after a pause.
    pub(crate) fn tick(&mut self, last: Instant) -> Result<Instant, Fatal> {
        let now = (self.clock)();
        let gap = now.duration_since(last);
        if gap < self.pace.tick {
            return Ok(last);
        }
        if gap > self.pace.election {
            self.applier.restart_deadlines(now);
        }
        let periods = u32::try_from(gap.as_nanos() / self.pace.tick.as_nanos().max(1)).unwrap_or(u32::MAX);
        let most = u32::try_from(self.pace.election.as_nanos() / self.pace.tick.as_nanos().max(1)).unwrap_or(1);
        for _ in 0..periods.min(most) {
            self.step(Input::Tick)?;
        }
        self.stand_if_due(now)?;
        self.move_hand_over(now)?;
        self.keep_house()?;
        self.end_leases(now)?;
        Ok(if periods > most { now } else { last + self.pace.tick * periods })
    }

    /// Takes in what has arrived.
    pub(crate) fn handle(&mut self, arrivals: &mut Arrivals) -> Result<(), Fatal> {
        for event in arrivals.events.drain(..) {
            self.on_stage_event(event)?;
        }
        let mut outputs = Vec::new();
        for message in arrivals.messages.drain(..) {
            if message.get_msg_type() == eraftpb::MessageType::MsgPropose {
                arrivals.writes.extend(forwarded(&message));
            } else {
                self.core.step(Input::Message(message), &mut outputs);
            }
        }
        self.perform_from(outputs)?;
        for notice in arrivals.notices.drain(..) {
            self.on_notice(notice)?;
        }
        self.hand_over.hold(arrivals);
        for barrier in arrivals.barriers.drain(..) {
            if self.role.leads {
                self.barriers.wait(barrier);
            } else {
                let _ = barrier.send(Err(not_leader(self.role)));
            }
        }
        self.confirm_barriers()?;
        if !arrivals.writes.is_empty() {
            let writes = std::mem::take(&mut arrivals.writes);
            self.propose(writes.into_iter().map(|write| (write.command, Some(write.respond))).collect())?;
        }
        self.move_hand_over((self.clock)())
    }

    /// Proposes commands as few entries, then performs what follows.
    pub(super) fn propose(&mut self, commands: Vec<(Command, Option<Responder>)>) -> Result<(), Fatal> {
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let mut entry = internal_proto::Entry::default();
            let mut waiters = Vec::new();
            let mut bytes = 0;
            while let Some((command, _)) = commands.peek()
                && (bytes == 0 || bytes + command.weight() <= MAX_ENTRY_BYTES)
                && let Some((command, respond)) = commands.next()
            {
                if let Some(refusal) = self.refusal(&command, bytes)? {
                    self.applier.not_proposed(std::slice::from_ref(&command));
                    respond.into_iter().for_each(|respond| respond.send(Err(refusal)));
                    continue;
                }
                bytes += command.weight();
                let physical = match &command.operation {
                    Operation::Compact(compact) if compact.physical => Some(compact.revision),
                    _ => None,
                };
                waiters.push(respond.map(|respond| Waiter { respond, physical }));
                entry.commands.push(command);
            }
            if !entry.commands.is_empty() {
                self.propose_entry(&entry, waiters);
                // Logged before the next is proposed: only then is it known how much room is left.
                self.perform()?;
            }
        }
        Ok(())
    }

    fn propose_entry(&mut self, entry: &internal_proto::Entry, waiters: Vec<Option<Waiter>>) {
        self.applier.revoking(&entry.commands);
        match self.core.propose(entry.encode()) {
            Ok((index, term)) => self.applier.proposed(index, term, waiters),
            Err(error) => {
                tracing::debug!(%error, "proposal refused");
                self.applier.not_proposed(&entry.commands);
                let error = if self.role.leads { Error::TooManyRequests } else { not_leader(self.role) };
                for waiter in waiters.into_iter().flatten() {
                    waiter.respond.send(Err(error));
                }
            }
        }
    }

    /// Why a command cannot be proposed here and now.
    fn refusal(&mut self, command: &Command, bytes_before: usize) -> Result<Option<Error>, Fatal> {
        if !self.role.leads {
            return Ok(Some(not_leader(self.role)));
        }
        let frees_space =
            matches!(command.operation, Operation::DeleteRange(_) | Operation::Compact(_) | Operation::LeaseRevoke(_));
        let has_room = self.log.has_room(bytes_before + command.weight(), frees_space)?
            && (frees_space || self.background.has_room());
        Ok((!has_room).then_some(Error::NoSpace))
    }

    pub(super) fn step(&mut self, input: Input) -> Result<(), Fatal> {
        let mut outputs = Vec::new();
        self.core.step(input, &mut outputs);
        self.perform_from(outputs)
    }

    pub(super) fn perform(&mut self) -> Result<(), Fatal> {
        self.perform_from(Vec::new())
    }

    /// Performs outputs until there are none.
    fn perform_from(&mut self, mut outputs: Vec<Output>) -> Result<(), Fatal> {
        loop {
            self.core.drain(&mut outputs);
            if outputs.is_empty() {
                break;
            }
            let mut follow_up = Vec::new();
            for output in outputs.drain(..) {
                self.perform_one(output, &mut follow_up)?;
            }
            if let Some(group) = self.log.finish(&*self.clock)? {
                if let Some(duration) = group.sync {
                    self.metrics.fsync(duration);
                }
                self.core.step(Input::Logged(group.number), &mut follow_up);
            }
            outputs = follow_up;
        }
        self.shared.set_committed(self.core.committed());
        self.shared.set_sole_leader(
            self.role.leads && self.core.is_sole_voter() && self.applier.reader().applied().1 == self.role.term,
        );
        Ok(())
    }

    fn perform_one(&mut self, output: Output, follow_up: &mut Vec<Output>) -> Result<(), Fatal> {
        match output {
            Output::Log(job) => self.log.append(&job)?,
            Output::Apply(entries) => self.apply(entries, follow_up)?,
            Output::Readable(round, index) => {
                self.barriers.confirmed(round, index);
                self.start_round(follow_up);
            }
            Output::Role(role) => self.change_role(role),
            Output::Fetch(fetch) => {
                let entries = self.log.fetch(fetch.low, fetch.high, fetch.max_bytes)?;
                self.core.step(Input::Fetched(fetch, entries), follow_up);
            }
            Output::Send(messages) => self.transport.send(messages.into_iter().map(PeerMessage).collect()),
        }
        Ok(())
    }

    fn apply(&mut self, entries: Vec<eraftpb::Entry>, follow_up: &mut Vec<Output>) -> Result<(), Fatal> {
        let now = (self.clock)();
        let Some(last) = entries.last().map(|entry| LogIndex(entry.index)) else { return Ok(()) };
        for entry in entries {
            let (index, term) = (LogIndex(entry.index), Term(entry.term));
            let input = match entry.get_entry_type() {
                eraftpb::EntryType::EntryNormal => decode(entry.data)?,
                _ => self.change_members(&entry)?,
            };
            if self.applier.apply(index, term, input, self.role, now).is_some() {
                self.background.compact();
            }
        }
        self.metrics.applied(last, self.applier.pending());
        self.core.step(Input::Applied(last), follow_up);
        Ok(())
    }

    fn change_members(&mut self, entry: &eraftpb::Entry) -> Result<state::Input, Fatal> {
        // Whoever becomes a voter may lead next: from here on a barrier needs a round.
        self.shared.set_sole_leader(false);
        super::membership::change(&mut self.core, entry)
    }

    fn change_role(&mut self, role: Role) {
        let was = std::mem::replace(&mut self.role, role);
        self.shared.set_role(role);
        self.failover.role_changed(role, (self.clock)());
        self.metrics.role(role.leads, role.leader.is_some());
        if was.leads && (!role.leads || role.term != was.term) {
            self.shared.set_sole_leader(false);
            self.applier.demote();
            self.applier.fail_all(Error::TimeoutLeaderFail);
            self.barriers.fail_all(Error::LeaderChanged);
        }
        let leader = role.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
        tracing::info!(term = role.term.0, leader = %leader, "raft role changed");
    }

    fn confirm_barriers(&mut self) -> Result<(), Fatal> {
        let mut outputs = Vec::new();
        self.start_round(&mut outputs);
        self.perform_from(outputs)
    }

    fn start_round(&mut self, outputs: &mut Vec<Output>) {
        if self.core.committed_in_term()
            && let Some(round) = self.barriers.start(self.role.term)
        {
            self.core.step(Input::Confirm(round), outputs);
        }
    }

    fn end_leases(&mut self, now: Instant) -> Result<(), Fatal> {
        let expired = self.applier.expired(now);
        if expired.is_empty() {
            return Ok(());
        }
        let command = |id: LeaseId| {
            let operation = Operation::LeaseRevoke(id);
            (Command { origin: None, auth: AuthRevision::default(), operation }, None)
        };
        self.propose(expired.into_iter().map(command).collect())
    }

    /// Spares for the log, a way out of a full disk, a checkpoint when the log has grown.
    fn keep_house(&mut self) -> Result<(), Fatal> {
        self.log.flush()?;
        self.background.keep_spare(self.log.log())?;
        self.background.keep_compacting();
        let log_bytes = self.log.bytes_since_checkpoint();
        if self.background.wants_checkpoint(log_bytes, self.log.is_disk_full()) {
            self.background.checkpoint(self.applier.reader(), log_bytes);
        }
        Ok(())
    }

    fn on_stage_event(&mut self, event: StageEvent) -> Result<(), Fatal> {
        match event {
            StageEvent::Spare(outcome) => self.background.spare_made(self.log.log(), outcome)?,
            StageEvent::Checkpointed(outcome) => {
                if let Some((through, log_bytes)) = self.background.checkpointed(outcome)? {
                    self.log.checkpointed(log_bytes);
                    self.log.log().trim(through)?;
                    let first = self.log.log().first_index();
                    self.step(Input::Trimmed(first))?;
                }
            }
            StageEvent::Compacted => {
                self.background.compacted();
                self.applier.compacted_through(self.applier.reader().compaction_done_through());
            }
        }
        Ok(())
    }
}

pub(super) fn not_leader(role: Role) -> Error {
    if role.leader.is_some() { Error::NotLeader { hint: role.leader } } else { Error::NoLeader }
}
