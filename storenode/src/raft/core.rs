//! Raft as a value: inputs in, outputs out, no I/O, no clock.
//!
//! ```text
//!  Input ──► step ──► raft-rs ──► Ready ──► Output::Log       (then Input::Logged when durable)
//!                                       ├─► Output::Send      leader: at once; follower: acknowledgements after Logged
//!                                       ├─► Output::Apply     (then Input::Applied)
//!                                       └─► Output::Readable  a barrier's round is confirmed by a quorum
//! ```
//!
//! Invariants:
//! - every Ready, also an empty one, passes through the log stage in number order;
//! - `on_persist_ready` comes before the persisted messages of those Readies are sent, else a repeated append could
//!   acknowledge what is on no disk;
//! - the window is updated before `advance_append_async`.

use std::collections::VecDeque;

use internal_proto::{Fault, LogIndex, MemberId, Term};
use raft::eraftpb::{ConfChangeV2, ConfState, Entry, HardState, Message, MessageType};
use raft::{Config, RawNode, SnapshotStatus, StateRole};

use super::window::{Fetch, Held, Lack, Origin, Window};
use crate::log::Start;

/// Entries for one follower in one message: more only delays the first.
const MAX_BYTES_PER_MESSAGE: u64 = 1 << 20;
/// Messages on their way to one follower before raft waits for an answer.
const MAX_MESSAGES_IN_FLIGHT: usize = 256;
/// Proposed and not yet committed; beyond it a proposal is refused, so that a lost quorum cannot fill the memory.
const MAX_UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Committed entries handed to apply at once, so that no pass grows without bound.
const MAX_COMMITTED_BYTES_PER_READY: u64 = 16 << 20;

/// What the core is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// One tick of the driver's clock.
    Tick,
    /// A message from a peer.
    Message(Message),
    /// Try to become leader as soon as no Ready is in flight and no snapshot is to be applied.
    Campaign,
    /// Confirm leadership for a round of barriers.
    Confirm(Round),
    /// Messages to this peer were lost.
    Unreachable(MemberId),
    /// The leader's process has ended: others may stand for its place.
    LeaderGone,
    /// There is much to apply: others would lead sooner.
    Behind,
    /// Have this voter lead as soon as it has all entries.
    HandOver(MemberId),
    /// All Readies up to this one are durable.
    Logged(ReadyNumber),
    /// All entries up to this one are applied.
    Applied(LogIndex),
    /// Entries that were asked for; empty when the files no longer have them.
    Fetched(Fetch, Vec<Entry>),
    /// The files now begin here.
    Trimmed(LogIndex),
    /// Hold a snapshot ready for a follower that lacks entries, or none any more.
    Hold(Option<Held>),
    /// A snapshot has reached the follower, or will not.
    SnapshotEnded(MemberId, SnapshotStatus),
}

/// What the core wants done. The driver performs outputs in order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Append to the log and make durable; then `Input::Logged(number)`.
    Log(LogJob),
    /// Hand to the peers.
    Send(Vec<Message>),
    /// Apply these committed entries; then `Input::Applied`.
    Apply(Vec<Entry>),
    /// The round is confirmed: its reads may be served by who has applied the index.
    Readable(Round, LogIndex),
    /// Who leads, or this node's own part, has changed.
    Role(Role),
    /// Read older entries from the files; then `Input::Fetched`.
    Fetch(Fetch),
    /// This follower lacks entries that no file holds: `Input::Hold` a snapshot ready.
    Lacking(MemberId, Lack),
}

/// The number of a Ready, rising by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReadyNumber(pub(crate) u64);

/// What one Ready adds to the log.
#[derive(Debug)]
pub(crate) struct LogJob {
    /// Reported back when durable.
    pub(crate) number: ReadyNumber,
    /// The log begins anew after a snapshot, before all else.
    pub(crate) start: Option<Start>,
    /// The term, vote and commit index, where they changed.
    pub(crate) hard_state: Option<HardState>,
    /// New entries; they replace what the log has from the first one's index on.
    pub(crate) entries: Vec<Entry>,
    /// Whether anything waits for it to be durable; otherwise it may stay buffered.
    pub(crate) must_sync: bool,
    /// Whether anybody waits for `Input::Logged`: what need not be durable still has its turn.
    pub(crate) awaited: bool,
}

impl LogJob {
    /// Whether it only has its turn.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.hard_state.is_none() && !self.must_sync
    }
}

/// One confirmation of leadership: made by the leader alone, never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Round {
    /// The leader's term.
    pub(crate) term: Term,
    /// Rises by one within a term.
    pub(crate) sequence: u64,
}

/// This node's part in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    /// The current term.
    pub(crate) term: Term,
    /// Who leads, where known.
    pub(crate) leader: Option<MemberId>,
    /// Whether this node does.
    pub(crate) leads: bool,
}

/// How raft is tuned. All counts are ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Between a leader's heartbeats.
    pub(crate) heartbeat: usize,
    /// The shortest wait for a leader before an election.
    pub(crate) election: usize,
    /// The wait is drawn from `first_election..election_end`.
    pub(crate) first_election: usize,
    /// See `first_election`.
    pub(crate) election_end: usize,
    /// Ask before raising the term, so that a node that was cut off does not depose a leader.
    pub(crate) pre_vote: bool,
}

/// The raft core of one node.
pub(crate) struct Core {
    pub(super) node: RawNode<Window>,
    /// The longest wait for a leader that may be drawn, in ticks.
    pub(super) latest_election: usize,
    /// Acknowledgements that wait until their Ready is durable.
    unsent: VecDeque<(ReadyNumber, Vec<Message>)>,
    /// The last Ready taken, and the last one known durable.
    taken: ReadyNumber,
    durable: ReadyNumber,
    /// Asked to campaign while that was not possible.
    campaign_put_off: bool,
    role: Role,
}

impl Core {
    /// A core that goes on from what the log and the engine hold. `entries` are the logged ones above
    /// `origin.applied`.
    ///
    /// # Errors
    /// What raft-rs says of an impossible configuration.
    pub(crate) fn new(
        member: MemberId,
        timing: Timing,
        origin: Origin,
        entries: &[Entry],
    ) -> Result<Self, raft::Error> {
        let config = Config {
            id: member.0,
            election_tick: timing.election,
            heartbeat_tick: timing.heartbeat,
            min_election_tick: timing.first_election,
            max_election_tick: timing.election_end,
            applied: origin.applied.0,
            max_size_per_msg: MAX_BYTES_PER_MESSAGE,
            max_inflight_msgs: MAX_MESSAGES_IN_FLIGHT,
            max_uncommitted_size: MAX_UNCOMMITTED_BYTES,
            max_committed_size_per_ready: MAX_COMMITTED_BYTES_PER_READY,
            check_quorum: true,
            pre_vote: timing.pre_vote,
            ..Config::default()
        };
        let role = Role { term: Term(origin.hard_state.term), ..Role::default() };
        let mut window = Window::new(origin);
        window.append(entries);
        let discard = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, window, &discard)?;
        let latest_election = timing.election_end - 1;
        let (taken, durable) = Default::default();
        Ok(Self { node, latest_election, unsent: VecDeque::new(), taken, durable, campaign_put_off: false, role })
    }

    /// Takes one input in; what follows from it is pushed to `outputs`.
    pub(crate) fn step(&mut self, input: Input, outputs: &mut Vec<Output>) {
        match input {
            // A sole voter that campaigns leads at once, which raft-rs takes for granted to find everything durable.
            Input::Tick if self.is_sole_voter() && !self.role.leads && self.readies_in_flight() > 0 => {}
            Input::Tick if self.is_restoring() => {}
            Input::Tick => {
                self.node.tick();
            }
            Input::Message(message) if self.lacks_what_is_known(&message) => self.ask_for_snapshot(&message, outputs),
            Input::Message(message) => self.receive(message),
            Input::Campaign => self.campaign(),
            Input::Confirm(round) if Fault::StaleRead.is_planted() => {
                outputs.push(Output::Readable(round, self.committed()));
            }
            Input::Confirm(round) => self.node.read_index(round.encode()),
            Input::Unreachable(peer) => self.node.report_unreachable(peer.0),
            Input::LeaderGone => self.leader_gone(),
            Input::Behind => self.stand_last(),
            Input::HandOver(successor) => self.node.transfer_leader(successor.0),
            Input::Logged(number) => self.logged(number, outputs),
            Input::Applied(index) => {
                self.node.advance_apply_to(index.0);
                self.node.mut_store().applied(index);
                if self.campaign_put_off {
                    self.campaign();
                }
            }
            Input::Fetched(fetch, entries) => {
                self.node.mut_store().offer(entries);
                self.node.on_entries_fetched(fetch.context);
                self.node.mut_store().offer(Vec::new());
            }
            Input::Trimmed(first) => self.node.mut_store().trimmed(first),
            Input::Hold(snapshot) => self.node.mut_store().hold(snapshot),
            Input::SnapshotEnded(follower, status) => self.node.report_snapshot(follower.0, status),
        }
    }

    /// Proposes an entry's bytes.
    ///
    /// # Errors
    /// [`raft::Error::ProposalDropped`] when this node does not lead or too much is uncommitted.
    pub(crate) fn propose(&mut self, data: Vec<u8>) -> Result<(LogIndex, Term), raft::Error> {
        self.node.propose(Vec::new(), data)?;
        Ok((LogIndex(self.node.raft.raft_log.last_index()), Term(self.node.raft.term)))
    }

    /// Collects what raft wants done since the last call.
    pub(crate) fn drain(&mut self, outputs: &mut Vec<Output>) {
        while self.node.has_ready() {
            self.take_ready(outputs);
        }
        outputs.extend(self.node.mut_store().take_wanted().into_iter().map(Output::Fetch));
        outputs.extend(self.node.mut_store().take_lacking().into_iter().map(|(to, lack)| Output::Lacking(to, lack)));
    }

    /// Applies a committed membership change.
    ///
    /// # Errors
    /// What raft-rs says of a change that does not fit the members there are.
    pub(crate) fn change_members(&mut self, change: &ConfChangeV2) -> Result<ConfState, raft::Error> {
        self.node.apply_conf_change(change)
    }

    /// Whether this node leads and has committed an entry of its term: only then may it confirm barriers.
    pub(crate) fn committed_in_term(&self) -> bool {
        self.role.leads && self.node.raft.commit_to_current_term()
    }

    /// Whether this node is the cluster's only voter.
    pub(crate) fn is_sole_voter(&self) -> bool {
        self.node.raft.prs().is_singleton() && self.node.raft.promotable()
    }

    /// Readies that are not known to be durable.
    pub(crate) const fn readies_in_flight(&self) -> u64 {
        self.taken.0 - self.durable.0
    }

    /// The last index known to be committed.
    pub(crate) fn committed(&self) -> LogIndex {
        LogIndex(self.node.raft.raft_log.committed)
    }

    fn receive(&mut self, message: Message) {
        match message.get_msg_type() {
            // A barrier's round is made by the leader alone: a forwarded one could release the wrong read.
            MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => return,
            // The leader that hands over takes its office back.
            MessageType::MsgTimeoutNow if self.is_restoring() => return,
            _ => {}
        }
        if let Err(error) = self.node.step(message) {
            tracing::debug!(%error, "raft refused a message");
        }
    }

    fn campaign(&mut self) {
        self.campaign_put_off = self.readies_in_flight() > 0 || self.is_restoring();
        if !self.campaign_put_off
            && let Err(error) = self.node.campaign()
        {
            tracing::debug!(%error, "raft refused to campaign");
        }
    }

    fn logged(&mut self, number: ReadyNumber, outputs: &mut Vec<Output>) {
        self.durable = number;
        self.node.on_persist_ready(number.0);
        if Fault::CommitWithoutQuorum.is_planted() && self.role.leads {
            let durable = self.node.raft.raft_log.persisted.max(self.node.raft.raft_log.committed);
            self.node.raft.raft_log.commit_to(durable);
        }
        while self.unsent.front().is_some_and(|(ready, _)| *ready <= number) {
            let (_, messages) = self.unsent.pop_front().expect("the front was just seen");
            send(messages, outputs);
        }
        if self.campaign_put_off {
            self.campaign();
        }
    }

    fn take_ready(&mut self, outputs: &mut Vec<Output>) {
        let mut ready = self.node.ready();
        let number = ReadyNumber(ready.number());
        if ready.ss().is_some() || ready.hs().is_some() {
            self.note_role(outputs);
        }
        send(ready.take_messages(), outputs);
        let (now, later) = split_by_durability(ready.take_persisted_messages());
        send(now, outputs);
        self.taken = number;
        let awaited = ready.must_sync() || !later.is_empty();
        if !later.is_empty() {
            self.unsent.push_back((number, later));
        }
        for read in ready.take_read_states() {
            outputs.push(Output::Readable(Round::decode(&read.request_ctx), LogIndex(read.index)));
        }
        // What is committed is durable already, and callers wait for it: apply goes before the next sync.
        let committed = ready.take_committed_entries();
        if !committed.is_empty() {
            outputs.push(Output::Apply(committed));
        }
        let start = self.take_start(&ready);
        let entries = ready.take_entries();
        self.node.mut_store().append(&entries);
        let hard_state = ready.hs().cloned();
        let must_sync = ready.must_sync();
        outputs.push(Output::Log(LogJob { number, start, hard_state, entries, must_sync, awaited }));
        self.node.advance_append_async(ready);
    }

    fn note_role(&mut self, outputs: &mut Vec<Output>) {
        let raft = &self.node.raft;
        let role = Role {
            term: Term(raft.term),
            leader: (raft.leader_id != raft::INVALID_ID).then_some(MemberId(raft.leader_id)),
            leads: raft.state == StateRole::Leader,
        };
        if role != self.role {
            self.role = role;
            self.campaign_put_off &= role.leader.is_none();
            outputs.push(Output::Role(role));
        }
    }
}

fn send(messages: Vec<Message>, outputs: &mut Vec<Output>) {
    if !messages.is_empty() {
        outputs.push(Output::Send(messages));
    }
}

/// A heartbeat's answer promises nothing about the disk and keeps the leader in office, so it leaves at once.
fn split_by_durability(messages: Vec<Message>) -> (Vec<Message>, Vec<Message>) {
    let at_once = |message: &Message| message.get_msg_type() == MessageType::MsgHeartbeatResponse;
    messages.into_iter().partition(|message| at_once(message) || Fault::AckBeforeSync.is_planted())
}

impl Round {
    fn encode(self) -> Vec<u8> {
        [self.term.0.to_be_bytes(), self.sequence.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_be_bytes(bytes.expect("only rounds that this node encoded come back"))
        };
        Self { term: Term(number(0)), sequence: number(8) }
    }
}
