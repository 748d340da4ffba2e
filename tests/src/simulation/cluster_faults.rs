//! One seed's run of a cluster: clients at work while members lose power, pause and lose each other.
//!
//! ```text
//!   faults and clients ............... │ all faults end │ clients finish │ members agree │ history is judged
//! ```

use std::time::Duration;

use internal_proto::{LogIndex, Term};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storenode::Tuning;

use super::client::Client;
use super::cluster::{Cluster, LONG_LOGS, SHORT_LOGS};
use super::history::History;
use super::lease_holder::LeaseHolder;
use super::network::Quality;
use super::pending::runtime;
use super::repeater::Repeater;
use super::replicas::{equal_each_other, history};

/// The time with faults.
const TROUBLE: Duration = Duration::from_secs(40);
/// The time that a cluster without faults may take to agree.
const RECOVERY: Duration = Duration::from_secs(60);
/// The longest time for which a machine without power is off.
const MAX_OFF: Duration = Duration::from_secs(2);
/// As long, where the power flickers.
const MAX_FLICKER: Duration = Duration::from_millis(20);
const CLIENTS: usize = 8;
const REPEATERS: usize = 2;
const LEASE_HOLDERS: i64 = 2;

/// What a run went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterTally {
    /// Writes that clients know to have happened.
    pub writes: u64,
    /// Reads answered.
    pub reads: u64,
    /// Terms that had a leader.
    pub terms: u64,
    /// Power losses of single machines, those of all at once included.
    pub power_losses: u64,
    /// How often all lost power at once.
    pub blackouts: u64,
    /// How often the network was cut.
    pub partitions: u64,
    /// How often a machine stood still.
    pub pauses: u64,
    /// How often a member lost its power in an election.
    pub interrupted_elections: u64,
    /// Numbered writes that were sent more than once.
    pub repeated: u64,
    /// Leases that clients were granted.
    pub leases: u64,
    /// Snapshots that reached a member's disk.
    pub snapshots: u64,
    /// Disks that were replaced by empty ones.
    pub new_disks: u64,
}

impl ClusterTally {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.terms += other.terms;
        self.power_losses += other.power_losses;
        self.blackouts += other.blackouts;
        self.partitions += other.partitions;
        self.pauses += other.pauses;
        self.interrupted_elections += other.interrupted_elections;
        self.repeated += other.repeated;
        self.leases += other.leases;
        self.snapshots += other.snapshots;
        self.new_disks += other.new_disks;
    }
}

/// One seed's run.
pub struct ClusterRun {
    cluster: Cluster,
    clients: Vec<Client>,
    repeaters: Vec<Repeater>,
    lease_holders: Vec<LeaseHolder>,
    history: History,
    /// When each machine that is off starts again.
    restarts: Vec<Option<Duration>>,
    /// The latest term of each member that was seen.
    terms: Vec<Term>,
    /// How probable a fault is at a step: where they are rare, what one begins is not undone by the next.
    fault_rate: f64,
    /// As much for the power of a member that has just voted.
    flicker_rate: f64,
    /// Whether disks are replaced.
    replaces_disks: bool,
    /// The last member whose disk was: the next has to wait until it holds again what it held.
    restored_by: Option<usize>,
    /// Which members had a snapshot on their disk a moment ago.
    staged: Vec<bool>,
    random: SmallRng,
    tally: ClusterTally,
}

impl ClusterRun {
    /// Nothing has run.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        Self::with(seed, size, LONG_LOGS)
    }

    /// Nothing has run. Logs are short and disks are replaced now and then, so that members need snapshots.
    #[must_use]
    pub fn with_short_logs(seed: u64, size: u64) -> Self {
        Self { replaces_disks: true, ..Self::with(seed, size, SHORT_LOGS) }
    }

    fn with(seed: u64, size: u64, tuning: Tuning) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let quality = Quality {
            lost: random.random_range(0.0..0.1),
            repeated: random.random_range(0.0..0.1),
            max_delay: Duration::from_millis(random.random_range(1..80)),
        };
        let cluster = Cluster::new(seed, size, quality, tuning);
        let clients = (0..CLIENTS).map(|_| Client::new(random.random_range(0..cluster.size()))).collect();
        let lease_holders = (1..=LEASE_HOLDERS).map(|number| LeaseHolder::new(number, 0)).collect();
        let restarts = cluster.machines.iter().map(|_| None).collect();
        let terms = vec![Term(0); cluster.size()];
        let staged = vec![false; cluster.size()];
        Self {
            cluster,
            clients,
            repeaters: (0..REPEATERS).map(|_| Repeater::default()).collect(),
            lease_holders,
            history: History::default(),
            restarts,
            terms,
            fault_rate: random.random_range(0.005..0.03),
            flicker_rate: if random.random() { 0.4 } else { 0.0 },
            replaces_disks: false,
            restored_by: None,
            staged,
            random,
            tally: ClusterTally::default(),
        }
    }

    /// Runs to the end and judges.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run(mut self) -> Result<ClusterTally, String> {
        let runtime = runtime();
        let _context = runtime.enter();
        for index in 0..self.cluster.size() {
            self.cluster.start(index)?;
        }
        while self.cluster.now() < TROUBLE {
            if self.random.random_bool(self.fault_rate) {
                self.fault();
            }
            self.step(true)?;
        }
        self.end_faults()?;
        while !self.agrees() {
            if self.cluster.now() > TROUBLE + RECOVERY {
                let (now, cluster) = (self.cluster.now(), &self.cluster);
                let applied = |at| cluster.node(at).map(|node| node.reader().applied());
                let members: Vec<_> = (0..cluster.size()).map(|at| (applied(at), cluster.belief(at))).collect();
                return Err(format!("without faults the cluster does not agree by {now:?}: {members:?}"));
            }
            self.step(false)?;
        }
        self.judge()?;
        (self.tally.writes, self.tally.reads) = self.history.finished();
        self.tally.terms = self.cluster.terms_led();
        self.tally.repeated = self.repeaters.iter().map(Repeater::repeated).sum();
        self.tally.leases = self.lease_holders.iter().map(LeaseHolder::granted).sum();
        Ok(self.tally)
    }

    fn step(&mut self, may_start: bool) -> Result<(), String> {
        for (index, reason) in self.cluster.step()? {
            if !reason.contains("the power is off") {
                return Err(format!("member {} stopped: {reason}", index + 1));
            }
            self.lose_power(index, MAX_OFF);
        }
        if may_start {
            self.interrupt_elections()?;
        }
        for index in 0..self.cluster.size() {
            if self.restarts[index].is_some_and(|at| at <= self.cluster.now()) {
                self.restarts[index] = None;
                self.cluster.start(index)?;
            }
        }
        for (machine, before) in self.cluster.machines.iter().zip(&mut self.staged) {
            let staged = machine.has_staged_snapshot();
            self.tally.snapshots += u64::from(staged && !*before);
            *before = staged;
        }
        for client in &mut self.clients {
            let may_start = may_start && self.random.random_bool(0.3);
            client.step(&self.cluster, &mut self.random, &mut self.history, may_start);
        }
        for repeater in &mut self.repeaters {
            let may_start = may_start && self.random.random_bool(0.3);
            repeater.step(&self.cluster, &mut self.random, &mut self.history, may_start);
        }
        for holder in &mut self.lease_holders {
            holder.step(&self.cluster, &mut self.random, may_start)?;
        }
        Ok(())
    }

    fn fault(&mut self) {
        let index = self.random.random_range(0..self.cluster.size());
        match self.random.random_range(0..if self.replaces_disks { 14 } else { 12 }) {
            0..3 => self.partition(),
            3..6 => self.cluster.network.lock().heal(),
            6..8 => self.pause(index),
            8..10 if self.cluster.node(index).is_some() => {
                self.cluster.machines[index].disk.cut_power_after(self.random.random_range(0..10));
            }
            10 => self.lose_power(index, MAX_OFF),
            11 if self.random.random_bool(0.3) => {
                (0..self.cluster.size()).for_each(|index| self.lose_power(index, MAX_OFF));
                self.tally.blackouts += 1;
            }
            12..14 => self.replace_disk(index),
            _ => {}
        }
    }

    /// Any machine stands still, but most often the leader: who woke up and has not heard of its successor yet must
    /// not answer as if it still led.
    fn pause(&mut self, index: usize) {
        let leader = self.cluster.latest_leader().filter(|_| self.random.random());
        // Long enough for a successor, or for anything else.
        let shortest = if leader.is_some() { 1_000 } else { 50 };
        let by = Duration::from_millis(self.random.random_range(shortest..5_000));
        let index = leader.unwrap_or(index);
        self.cluster.pause(index, by, self.random.random());
        if self.random.random() {
            (0..self.cluster.size()).for_each(|other| self.cluster.cut(index, other));
            (0..self.cluster.size()).for_each(|other| self.cluster.cut(other, index));
        }
        self.tally.pauses += 1;
    }

    /// The power of a member that has just voted flickers: it must not vote again in that term. Often nobody hears of
    /// the candidate any more, so that the next one stands in the same term.
    fn interrupt_elections(&mut self) -> Result<(), String> {
        for index in 0..self.cluster.size() {
            let Some((term, leader)) = self.cluster.belief(index)? else { continue };
            let before = std::mem::replace(&mut self.terms[index], term);
            if term == before || leader.is_some() || !self.random.random_bool(self.flicker_rate) {
                continue;
            }
            self.lose_power(index, MAX_FLICKER);
            self.tally.interrupted_elections += 1;
            if self.random.random() {
                let candidates = (0..self.cluster.size()).filter(|other| *other != index && self.terms[*other] == term);
                for candidate in candidates {
                    (0..self.cluster.size()).for_each(|other| self.cluster.cut(candidate, other));
                }
            }
        }
        Ok(())
    }

    /// Replaces a disk, unless the last member that lost its own has not come back: two at once may be all who know.
    fn replace_disk(&mut self, index: usize) {
        let back = |last: usize| self.cluster.node(last).is_some_and(|node| node.reader().applied().0 > LogIndex(1));
        if self.restored_by.is_none_or(back) {
            self.cluster.machines[index].replace_disk(self.random.random());
            self.restored_by = Some(index);
            self.restarts[index] = Some(self.cluster.now());
            self.tally.new_disks += 1;
        }
    }

    fn lose_power(&mut self, index: usize, max_off: Duration) {
        self.cluster.machines[index].lose_power();
        let off = max_off.mul_f64(self.random.random());
        self.restarts[index] = Some(self.cluster.now() + off);
        self.tally.power_losses += 1;
    }

    /// Cuts some members off the others, now and then in one direction only.
    fn partition(&mut self) {
        let one_way = self.random.random_bool(0.3);
        let apart: Vec<bool> = (0..self.cluster.size()).map(|_| self.random.random_bool(0.4)).collect();
        for (from, from_apart) in apart.iter().enumerate() {
            for (to, to_apart) in apart.iter().enumerate() {
                if from_apart != to_apart && (*from_apart || !one_way) {
                    self.cluster.cut(from, to);
                }
            }
        }
        self.tally.partitions += 1;
    }

    fn end_faults(&mut self) -> Result<(), String> {
        let mut network = self.cluster.network.lock();
        network.heal();
        network.quality = Quality::GOOD;
        drop(network);
        self.cluster.resume_all();
        for index in 0..self.cluster.size() {
            self.cluster.machines[index].disk.cut_power_after(u64::MAX);
            if self.restarts[index].take().is_some() {
                self.cluster.start(index)?;
            }
        }
        Ok(())
    }

    /// Whether clients are done, somebody leads, and all members have applied all there is.
    fn agrees(&self) -> bool {
        let nodes: Vec<_> = (0..self.cluster.size()).filter_map(|index| self.cluster.node(index)).collect();
        let applied = |index: usize| nodes[index].reader().applied();
        nodes.len() == self.cluster.size()
            && self.clients.iter().all(Client::is_idle)
            && self.repeaters.iter().all(Repeater::is_idle)
            && self.lease_holders.iter().all(LeaseHolder::is_idle)
            && (1..nodes.len()).all(|index| applied(index) == applied(0))
            && self.cluster.everybody_knows_one_leader_of(applied(0).1)
    }

    fn judge(&self) -> Result<(), String> {
        let readers: Vec<_> = (0..self.cluster.size()).filter_map(|at| Some(self.cluster.node(at)?.reader())).collect();
        for (index, reader) in readers.iter().enumerate().skip(1) {
            equal_each_other(readers[0], reader).map_err(|error| format!("members 1 and {}: {error}", index + 1))?;
        }
        self.history.judge(&history(readers[0])?)
    }
}
