//! One member at work, without a loop: whoever drives it gives it what arrived and a clock.
//!
//! ```text
//!  arrivals ─► step the core ─► perform outputs ─► one group for the log ─► again until quiet ─► propose
//!                                     │
//!                                     └─► committed entries wait their turn; each pass applies for a while
//! ```
//!
//! Invariants: outputs are performed in their order; one pass makes one group of everything it logged; no pass applies
//! or proposes for long while peers may be waiting, but at least one entry; time moves the core only through ticks, and
//! never more than one election timeout at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{Command, Error, Responder};
use raft::eraftpb;

use super::applier::Applier;
use super::barriers::Barriers;
use super::core::{Core, Input, Output, Role};
use super::failover::Failover;
use super::fatal::Fatal;
use super::forward::forwarded;
use super::hand_over::HandOver;
use super::inbox::{Arrivals, StageEvent, Writes};
use super::log_stage::{Done, LogEvent, LogStage};
use super::propose::not_leader;
use super::shared::Shared;
use super::snapshot::Snapshots;
use super::transport::{PeerMessage, Transport};
use super::unapplied::Unapplied;
use crate::background::Background;
use crate::metrics::Metrics;

/// While the disk hangs, messages and barriers go on, and raft remembers each Ready in some 50 bytes; beyond so many
/// nothing more is taken in.
const MAX_READIES_IN_FLIGHT: u64 = 1 << 20;

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
    /// Committed entries whose turn has not come.
    pub(super) unapplied: Unapplied,
    /// Commands that wait until the log and apply are ready for another entry.
    pub(super) waiting: VecDeque<(Command, Option<Responder>)>,
    /// Until when this pass may go on with work that can as well be done in the next.
    pub(super) pass_ends: Instant,
    pub(crate) failover: Failover,
    pub(crate) hand_over: HandOver,
    pub(crate) snapshots: Snapshots,
}

/// How a member keeps time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two ticks of the core.
    pub(crate) tick: Duration,
    /// The shortest wait for a leader before an election; a longer gap between ticks means that the process stood
    /// still.
    pub(crate) election: Duration,
    /// What may keep the raft thread from a peer's message: a fraction of the time between heartbeats.
    pub(crate) bearable: Duration,
}

impl Member {
    /// A lone voter need not wait for anybody to lead.
    pub(crate) fn begin(&mut self) -> Result<(), Fatal> {
        if self.core.is_sole_voter() { self.step(Input::Campaign) } else { Ok(()) }
    }

    /// Tells all who wait that nothing more will come.
    pub(crate) fn end(&mut self, error: Error) {
        self.shared.set_sole_leader(false);
        self.come_home();
        for (_, respond) in self.waiting.drain(..) {
            respond.into_iter().for_each(|respond| respond.send(Err(Error::Stopped)));
        }
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
        if self.is_behind(now) {
            self.step(Input::Behind)?;
        }
        let periods = u32::try_from(gap.as_nanos() / self.pace.tick.as_nanos().max(1)).unwrap_or(u32::MAX);
        let most = u32::try_from(self.pace.election.as_nanos() / self.pace.tick.as_nanos().max(1)).unwrap_or(1);
        for _ in 0..periods.min(most) {
            self.step(Input::Tick)?;
        }
        self.stand_if_due(now)?;
        self.move_hand_over(now)?;
        self.move_snapshot()?;
        self.keep_house()?;
        self.end_expired(now)?;
        Ok(if periods > most { now } else { last + self.pace.tick * periods })
    }

    /// Begins a pass.
    pub(crate) fn begin_pass(&mut self) -> Result<(), Fatal> {
        self.pass_ends = (self.clock)() + self.pace.bearable;
        if let Some(done) = self.log.pass()? {
            self.take_done(done)?;
        }
        match self.applier.pass() {
            Some(done) => self.take_applied(done),
            None => Ok(()),
        }
    }

    /// Whether writes are of use now. Those that are not stay where they are counted.
    pub(crate) fn wants_writes(&self) -> Writes {
        if self.waiting.is_empty() { Writes::Take } else { Writes::Leave }
    }

    /// Whether there is work that waits for nothing but the next pass.
    pub(crate) fn has_backlog(&self) -> bool {
        self.may_apply() && (!self.unapplied.is_empty() || (!self.waiting.is_empty() && !self.log.is_busy()))
    }

    /// Whether nothing is left to do until something arrives.
    pub(crate) fn is_settled(&self) -> bool {
        self.unapplied.is_empty() && self.waiting.is_empty() && !self.log.is_busy() && !self.applier.is_away()
    }

    /// Takes in what has arrived.
    pub(crate) fn handle(&mut self, arrivals: &mut Arrivals) -> Result<(), Fatal> {
        for event in arrivals.events.drain(..) {
            self.on_stage_event(event)?;
        }
        let overwhelmed = self.core.readies_in_flight() > MAX_READIES_IN_FLIGHT;
        let mut outputs = Vec::new();
        for message in arrivals.messages.drain(..) {
            if overwhelmed {
                continue;
            }
            if message.get_msg_type() == eraftpb::MessageType::MsgPropose {
                arrivals.writes.extend(forwarded(&message));
            } else if self.admits(&message)? {
                self.core.step(Input::Message(message), &mut outputs);
            }
        }
        self.perform_from(outputs)?;
        for transfer in arrivals.transfers.drain(..) {
            self.on_transfer(transfer)?;
        }
        for notice in arrivals.notices.drain(..) {
            self.on_notice(notice)?;
        }
        self.hand_over.hold(arrivals);
        for barrier in arrivals.barriers.drain(..) {
            if overwhelmed {
                let _ = barrier.send(Err(Error::TooManyRequests));
            } else if self.role.leads {
                self.barriers.wait(barrier);
            } else {
                let _ = barrier.send(Err(not_leader(self.role)));
            }
        }
        self.confirm_barriers()?;
        self.apply_backlog()?;
        let writes = std::mem::take(&mut arrivals.writes);
        self.propose(writes.into_iter().map(|write| (write.command, Some(write.respond))))?;
        self.move_hand_over((self.clock)())
    }

    /// Whether there is room for what a message adds to the log and to what waits to be applied. Dropping entries
    /// costs nothing but time, while a heartbeat or a vote must always get through. And who has much to apply takes no
    /// office over: the leader keeps it.
    fn admits(&mut self, message: &eraftpb::Message) -> Result<bool, Fatal> {
        if message.get_msg_type() == eraftpb::MessageType::MsgTimeoutNow && self.is_behind((self.clock)()) {
            return Ok(false);
        }
        if message.entries.is_empty() {
            return Ok(true);
        }
        let bytes = message.entries.iter().map(|entry| entry.data.len()).sum();
        Ok(!self.unapplied.is_too_long() && self.log.admits(bytes)?)
    }

    /// Waits for what the stages have under way elsewhere: what they report is in the inbox, and from here on they are
    /// inline.
    pub(crate) fn come_home(&mut self) {
        self.log.come_home();
        self.applier.come_home();
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
    pub(super) fn perform_from(&mut self, mut outputs: Vec<Output>) -> Result<(), Fatal> {
        loop {
            self.core.drain(&mut outputs);
            if outputs.is_empty() && !self.log.is_urgent() {
                break;
            }
            let mut follow_up = Vec::new();
            for output in outputs.drain(..) {
                self.perform_one(output, &mut follow_up)?;
            }
            if let Some(done) = self.log.finish()? {
                self.settle(done, &mut follow_up)?;
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
            Output::Log(job) => {
                self.note_start(&job);
                self.snapshots.logged(job.entries.iter().map(|entry| entry.data.len()).sum());
                self.log.append(job);
            }
            Output::Apply(entries) => {
                self.unapplied.extend(entries, self.pass_ends);
                self.apply(follow_up)?;
            }
            Output::Readable(round, index) => {
                self.barriers.confirmed(round, index);
                self.start_round(follow_up);
            }
            Output::Role(role) => self.change_role(role),
            Output::Fetch(fetch) => self.log.fetch(fetch),
            Output::Send(messages) => self.send(messages, follow_up),
            Output::Lacking(follower, lack) => self.follower_lacks(follower, lack),
        }
        Ok(())
    }

    /// Hands messages to the transport. What raft calls a snapshot is only the word that one is to be sent.
    fn send(&mut self, mut messages: Vec<eraftpb::Message>, follow_up: &mut Vec<Output>) {
        let is_snapshot = |message: &mut eraftpb::Message| message.get_msg_type() == eraftpb::MessageType::MsgSnapshot;
        for snapshot in messages.extract_if(.., is_snapshot) {
            self.begin_sending(&snapshot, follow_up);
        }
        self.transport.send(messages.into_iter().map(PeerMessage::from_raft).collect());
    }

    /// What the log has done is the core's to know first; what follows from it comes afterwards.
    fn settle(&mut self, mut done: Done, follow_up: &mut Vec<Output>) -> Result<(), Fatal> {
        self.log.settle(&mut done);
        if let Some(duration) = done.sync {
            self.metrics.fsync(duration);
        }
        if let Some(number) = done.logged {
            let installed = self.install_if_due(number)?;
            self.core.step(Input::Logged(number), follow_up);
            if installed {
                self.core.step(Input::Applied(self.applier.reader().applied().0), follow_up);
            }
        }
        if let Some(first) = done.trimmed {
            self.core.step(Input::Trimmed(first), follow_up);
        }
        for (fetch, entries) in done.fetched.drain(..) {
            self.core.step(Input::Fetched(fetch, entries), follow_up);
        }
        if !self.core.is_sole_voter() && self.log.should_move(&done, self.pace.bearable) {
            tracing::info!(took = ?done.took, "the disk is slow: the log goes on on a thread of its own");
            self.log.move_to_thread();
        }
        Ok(())
    }

    fn take_done(&mut self, done: Done) -> Result<(), Fatal> {
        let mut outputs = Vec::new();
        self.settle(done, &mut outputs)?;
        self.perform_from(outputs)
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

    /// Spares for the log, a way out of a full disk, a checkpoint when the log has grown.
    fn keep_house(&mut self) -> Result<(), Fatal> {
        self.log.flush();
        self.background.keep_spare(&mut self.log);
        if !self.applier.is_away() {
            self.background.keep_compacting();
            let log_bytes = self.log.bytes_since_checkpoint();
            if self.background.wants_checkpoint(log_bytes, self.log.is_disk_full()) {
                self.background.checkpoint(self.applier.reader(), log_bytes);
            }
        }
        self.perform()
    }

    fn on_stage_event(&mut self, event: StageEvent) -> Result<(), Fatal> {
        match event {
            StageEvent::Spare(outcome) => {
                self.background.spare_made();
                self.log.take_spare(outcome);
            }
            StageEvent::Checkpointed(outcome) => {
                if let Some((through, log_bytes)) = self.background.checkpointed(outcome)? {
                    self.log.checkpointed(log_bytes);
                    self.log.trim(self.snapshots.spare(through));
                }
            }
            StageEvent::Log(LogEvent::Done(done)) => return self.take_done(done),
            StageEvent::Log(LogEvent::Failed(error)) => return Err(error.into()),
            StageEvent::Log(LogEvent::Panicked(panic)) => std::panic::resume_unwind(panic),
            StageEvent::Applied(returned) => return self.welcome(returned),
            StageEvent::SnapshotRead(ahead) => self.snapshot_read(*ahead)?,
            StageEvent::SnapshotWritten(outcome) => self.snapshot_written(outcome),
            StageEvent::SnapshotLoaded(outcome) => self.snapshot_loaded(outcome)?,
            StageEvent::Compacted => {
                // Before the worker goes on, which would have to be waited for.
                let done = self.applier.reader().compaction_done_through();
                self.background.compacted();
                if !self.applier.is_away() {
                    self.applier.compacted_through(done);
                }
            }
        }
        self.perform()
    }
}
