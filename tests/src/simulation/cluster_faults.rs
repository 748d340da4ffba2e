//! One seed's run of a cluster: clients at work while members lose power, pause and lose each other.
//!
//! ```text
//!   faults and clients ............... │ all faults end │ clients finish │ members agree │ history is judged
//! ```

use std::time::Duration;

use internal_proto::MemberId;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::client::Client;
use super::cluster::Cluster;
use super::history::History;
use super::network::Quality;
use super::pending::runtime;
use super::replicas::{equal_each_other, history};

/// The time with faults.
const TROUBLE: Duration = Duration::from_secs(40);
/// The time that a cluster without faults may take to agree.
const RECOVERY: Duration = Duration::from_secs(60);
const CLIENTS: usize = 5;

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
    }
}

/// One seed's run.
pub struct ClusterRun {
    cluster: Cluster,
    clients: Vec<Client>,
    history: History,
    /// When each machine that is off starts again.
    restarts: Vec<Option<Duration>>,
    random: SmallRng,
    tally: ClusterTally,
}

impl ClusterRun {
    /// Nothing has run. With `ignore_syncs` no disk makes anything durable: a planted defect.
    #[must_use]
    pub fn new(seed: u64, size: u64, ignore_syncs: bool) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let quality = Quality {
            lost: random.random_range(0.0..0.1),
            repeated: random.random_range(0.0..0.1),
            max_delay: Duration::from_millis(random.random_range(1..80)),
        };
        let cluster = Cluster::new(seed, size, quality);
        cluster.machines.iter().for_each(|machine| machine.disk.ignore_syncs(ignore_syncs));
        let clients = (0..CLIENTS).map(|_| Client::new(random.random_range(0..cluster.size()))).collect();
        let restarts = cluster.machines.iter().map(|_| None).collect();
        Self { cluster, clients, history: History::default(), restarts, random, tally: ClusterTally::default() }
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
            if self.random.random_bool(0.02) {
                self.fault();
            }
            self.step(true)?;
        }
        self.end_faults()?;
        while !self.agrees() {
            if self.cluster.now() > TROUBLE + RECOVERY {
                return Err("without faults the cluster does not agree in time".to_owned());
            }
            self.step(false)?;
        }
        self.judge()?;
        (self.tally.writes, self.tally.reads) = self.history.finished();
        self.tally.terms = self.cluster.terms_led();
        Ok(self.tally)
    }

    fn step(&mut self, may_start: bool) -> Result<(), String> {
        for (index, reason) in self.cluster.step()? {
            if !reason.contains("the power is off") {
                return Err(format!("member {} stopped: {reason}", index + 1));
            }
            self.lose_power(index);
        }
        for index in 0..self.cluster.size() {
            if self.restarts[index].is_some_and(|at| at <= self.cluster.now()) {
                self.restarts[index] = None;
                self.cluster.start(index)?;
            }
        }
        for client in &mut self.clients {
            let may_start = may_start && self.random.random_bool(0.3);
            client.step(&self.cluster, &mut self.random, &mut self.history, may_start);
        }
        Ok(())
    }

    fn fault(&mut self) {
        let index = self.random.random_range(0..self.cluster.size());
        match self.random.random_range(0..12) {
            0..3 => self.partition(),
            3..6 => self.cluster.network.lock().heal(),
            6..8 => {
                let by = Duration::from_millis(self.random.random_range(50..3_000));
                self.cluster.pause(index, by, self.random.random());
                self.tally.pauses += 1;
            }
            8..10 if self.cluster.node(index).is_some() => {
                self.cluster.machines[index].disk.cut_power_after(self.random.random_range(0..10));
            }
            10 => self.lose_power(index),
            11 if self.random.random_bool(0.3) => {
                (0..self.cluster.size()).for_each(|index| self.lose_power(index));
                self.tally.blackouts += 1;
            }
            _ => {}
        }
    }

    fn lose_power(&mut self, index: usize) {
        self.cluster.machines[index].lose_power();
        let off = Duration::from_millis(self.random.random_range(0..2_000));
        self.restarts[index] = Some(self.cluster.now() + off);
        self.tally.power_losses += 1;
    }

    /// Cuts some members off the others, now and then in one direction only.
    fn partition(&mut self) {
        let size = self.cluster.size() as u64;
        let one_way = self.random.random_bool(0.3);
        let apart: Vec<bool> = (0..size).map(|_| self.random.random_bool(0.4)).collect();
        let mut network = self.cluster.network.lock();
        for (from, from_apart) in (1..=size).zip(&apart) {
            for (to, to_apart) in (1..=size).zip(&apart) {
                if from_apart != to_apart && (*from_apart || !one_way) {
                    network.cut(MemberId(from), MemberId(to));
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
