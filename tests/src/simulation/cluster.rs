//! Several machines and the network between them, moved on together.
//!
//! ```text
//!   step: time passes ─► messages arrive ─► every machine that is not paused makes a pass ─► who leads?
//! ```
//!
//! Invariants: every machine has a clock of its own, a little fast or slow; a term has at most one leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Answer, Freshness, MemberId, Request, Response, Store as _, Term};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, SeedableRng};
use storenode::{ApplyPlace, Delay, LogPlace, Node, Recipient as _, SnapshotPace, Tuning};

use super::machine::Machine;
use super::network::{Network, Quality, Way};
use super::pending::Pending;

/// Logs keep everything, so that nobody falls behind them.
pub const LONG_LOGS: Tuning = Tuning {
    segment_bytes: 64 << 10,
    bytes_between_checkpoints: u64::MAX,
    election_ticks: None,
    log: LogPlace::Inline,
    apply: ApplyPlace::Inline,
    snapshots: SnapshotPace { chunk_bytes: 1 << 10, window_pieces: 4, bytes_per_second: 1 << 20 },
};
/// Logs keep a few seconds' work, and a snapshot takes as long: in many pieces, so that faults meet it everywhere.
pub const SHORT_LOGS: Tuning = Tuning {
    segment_bytes: 8 << 10,
    bytes_between_checkpoints: 6 << 10,
    snapshots: SnapshotPace { chunk_bytes: 512, window_pieces: 4, bytes_per_second: 8 << 10 },
    ..LONG_LOGS
};
/// The shortest election timeout, in ticks.
const ELECTION_TICKS: usize = 100;
/// How fast the slowest clock goes, beside the time outside.
const SLOWEST_CLOCK: f64 = 0.9;
/// How fast the fastest clock goes.
pub const FASTEST_CLOCK: f64 = 1.1;
/// Between the timeouts of two members, so that two candidates do not meet for ever.
const ELECTION_STEP: usize = 20;

/// A cluster.
pub struct Cluster {
    /// The members, in the order of their ids.
    pub machines: Vec<Machine>,
    /// What is between them.
    pub network: Arc<Mutex<Network>>,
    now: Duration,
    /// How fast each machine's clock goes.
    drift: Vec<f64>,
    /// Until when a machine does nothing; and whether it is suspended as a whole, its clock and connections with it.
    paused: Vec<Option<(Duration, bool)>>,
    leaders: BTreeMap<Term, MemberId>,
    random: SmallRng,
}

impl Cluster {
    /// A cluster whose machines were never started.
    #[must_use]
    pub fn new(seed: u64, size: u64, quality: Quality, tuning: Tuning) -> Self {
        let mut random = SmallRng::seed_from_u64(seed ^ 0xc1);
        let network = Arc::new(Mutex::new(Network::new(random.random(), quality)));
        let members: Vec<MemberId> = (1..=size).map(MemberId).collect();
        // In every other cluster logs are done some passes later, as on threads of their own.
        let most = random.random_range(0..8);
        let log = |seed| if most % 2 == 1 { LogPlace::Deferred(Delay { seed, least: 0, most }) } else { tuning.log };
        // Independently, in every other one entries are away for some passes, as large ones are.
        let away = SmallRng::seed_from_u64(seed ^ 0xa9).random_range(0..4);
        let apply = |seed| match away % 2 {
            1 => ApplyPlace::Deferred(Delay { seed, least: 0, most: away }),
            _ => tuning.apply,
        };
        let machine = |id: &MemberId, disk_seed| {
            let tuning = Tuning { log: log(disk_seed), apply: apply(disk_seed), ..tuning };
            Machine::new(*id, &members, disk_seed, tuning, Arc::new(Way(Arc::clone(&network))))
        };
        let machines: Vec<_> = members.iter().map(|id| machine(id, random.random())).collect();
        let drift = members.iter().map(|_| random.random_range(SLOWEST_CLOCK..FASTEST_CLOCK)).collect();
        let paused = members.iter().map(|_| None).collect();
        Self { machines, network, now: Duration::ZERO, drift, paused, leaders: BTreeMap::new(), random }
    }

    /// How many members there are.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.machines.len()
    }

    /// The time outside.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// How many terms had a leader.
    #[must_use]
    pub fn terms_led(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// A member's node, if it runs.
    #[must_use]
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.machines.get(index)?.node()
    }

    /// The place of a member in the list.
    #[must_use]
    pub fn index_of(&self, member: MemberId) -> usize {
        usize::try_from(member.0).map_or(0, |id| id.saturating_sub(1))
    }

    /// The running member that leads in the newest term that members know of.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let beliefs = (0..self.size()).filter_map(|index| self.belief(index).ok().flatten());
        let (_, leader) = beliefs.max_by_key(|(term, leader)| (*term, leader.is_some()))?;
        leader.map(|leader| self.index_of(leader)).filter(|&index| self.node(index).is_some())
    }

    /// Starts a machine, with an election timeout of its own.
    ///
    /// # Errors
    /// Why its node cannot start.
    pub fn start(&mut self, index: usize) -> Result<(), String> {
        let jitter = self.random.random_range(0..ELECTION_STEP);
        let machine = &mut self.machines[index];
        machine.tuning.election_ticks = Some(ELECTION_TICKS + index * ELECTION_STEP + jitter);
        machine.start().map_err(|error| format!("member {} does not start: {error}", index + 1))
    }

    /// Cuts the way from one member to another.
    pub fn cut(&self, from: usize, to: usize) {
        let member = |index: usize| MemberId(index as u64 + 1);
        self.network.lock().cut(member(from), member(to));
    }

    /// Stops a machine's work for a while. One that is `suspended` as a whole does not know afterwards that time has
    /// passed, and what was sent to it meanwhile is lost.
    pub fn pause(&mut self, index: usize, by: Duration, suspended: bool) {
        self.paused[index] = Some((self.now + by, suspended));
    }

    /// Everybody works again.
    pub fn resume_all(&mut self) {
        self.paused.fill(None);
    }

    fn is_suspended(&self, index: usize) -> bool {
        matches!(self.paused[index], Some((_, true)))
    }

    /// Who leads the latest term that had a leader.
    #[must_use]
    pub fn latest_leader(&self) -> Option<usize> {
        self.leaders.last_key_value().map(|(_, leader)| self.index_of(*leader))
    }

    /// Moves everything on by a moment. Machines whose nodes stopped in it, with the reasons.
    ///
    /// # Errors
    /// When a term has two leaders.
    pub fn step(&mut self) -> Result<Vec<(usize, String)>, String> {
        let moment = Duration::from_millis(self.random.random_range(1..=20));
        self.now += moment;
        for index in 0..self.size() {
            self.paused[index] = self.paused[index].filter(|(until, _)| *until > self.now);
            if !self.is_suspended(index) {
                self.machines[index].clock.advance(moment.mul_f64(self.drift[index]));
            }
        }
        let arrived = self.network.lock().advance(moment);
        for message in arrived {
            let to = self.index_of(message.to());
            if let Some(node) = self.node(to).filter(|_| !self.is_suspended(to)) {
                node.deliver(message);
            }
        }
        let mut order: Vec<usize> = (0..self.size()).filter(|&index| self.paused[index].is_none()).collect();
        order.shuffle(&mut self.random);
        let mut stopped = Vec::new();
        for index in order {
            if let Err(reason) = self.machines[index].pass() {
                stopped.push((index, reason));
            }
            self.note_leader(index)?;
        }
        Ok(stopped)
    }

    /// Whether every member runs and believes in the same leader of this term.
    #[must_use]
    pub fn everybody_knows_one_leader_of(&self, term: Term) -> bool {
        let known = self.leaders.get(&term).copied();
        let believes = |index| known.is_some() && self.belief(index) == Ok(Some((term, known)));
        (0..self.size()).all(believes)
    }

    /// The term of a member and whom it takes for its leader; `None` if it does not run.
    ///
    /// # Errors
    /// When it gives no status.
    pub fn belief(&self, index: usize) -> Result<Option<(Term, Option<MemberId>)>, String> {
        let Some(node) = self.node(index) else { return Ok(None) };
        match Pending::new(node.query(Request::Status, Freshness::default())).poll() {
            Some(Ok(Answer { response: Response::Status(status), stamp })) => Ok(Some((stamp.term, status.leader))),
            other => Err(format!("asked for its status, member {} answers {other:?}", index + 1)),
        }
    }

    fn note_leader(&mut self, index: usize) -> Result<(), String> {
        let Some((term, Some(leader))) = self.belief(index)? else { return Ok(()) };
        let known = *self.leaders.entry(term).or_insert(leader);
        if known == leader { Ok(()) } else { Err(format!("term {term} has two leaders, {known} and {leader}")) }
    }
}
