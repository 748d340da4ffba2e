//! One node, its disk and its clock: started, passed, killed, robbed of its power.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Answer, AuthRevision};
use internal_proto::{ClusterId, Command, Error, Member, MemberId, Operation, Origin, Responder, Store as _, Write};
use prometheus::Registry;
use storenode::config::{Config, Engine};
use storenode::files::{Files as _, PowerLoss};
use storenode::{Node, Passes, Surroundings, Transport, Tuning};

use super::clock::SimulatedClock;
use super::pending::Pending;

/// The period of a node's clock: time that passes in multiples of it is counted without a rest.
pub const TICK: Duration = Duration::from_millis(10);
/// The election timeout, and what a new leader adds to every lease.
pub const ELECTION: Duration = Duration::from_secs(1);
/// Where every machine keeps its data.
const DIR: &str = "/data";
const CLUSTER: ClusterId = ClusterId(0xc1);

/// An answer to a write.
pub type PendingWrite = Pending<Result<Answer, Error>>;

/// A machine with one node, running or not.
pub struct Machine {
    config: Config,
    /// What the next start uses.
    pub tuning: Tuning,
    /// The disk, for faults.
    pub disk: PowerLoss,
    /// The machine's own clock.
    pub clock: SimulatedClock,
    transport: Arc<dyn Transport>,
    running: Option<(Node, Passes)>,
}

impl Machine {
    /// A machine that was never started. `disk_seed` decides what power losses destroy.
    pub fn new(
        member: MemberId,
        members: &[MemberId],
        disk_seed: u64,
        tuning: Tuning,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let record = |id: &MemberId| Member { id: *id, name: id.to_string(), ..Member::default() };
        let config = Config {
            data_dir: PathBuf::from(DIR),
            cluster_id: CLUSTER,
            member_id: member,
            name: member.to_string(),
            client_urls: Vec::new(),
            members: members.iter().map(record).collect(),
            joins: false,
            engine: Engine::Memory,
            quota_bytes: 0,
            heartbeat_interval: TICK * 10,
            election_timeout: ELECTION,
            pre_vote: true,
        };
        let (disk, clock) = (PowerLoss::new(disk_seed), SimulatedClock::default());
        Self { config, tuning, disk, clock, transport, running: None }
    }

    /// Starts the node from what the disk holds.
    ///
    /// # Errors
    /// Why it cannot start.
    pub fn start(&mut self) -> Result<(), String> {
        self.running = None;
        let surroundings = Surroundings {
            files: Arc::new(self.disk.clone()),
            transport: Arc::clone(&self.transport),
            clock: self.clock.reading(),
        };
        let started = Node::simulate(&self.config, surroundings, &Registry::new(), self.tuning);
        self.running = Some(started.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// The process is gone; the disk keeps what the operating system has.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The power goes and comes back; the node is not started.
    pub fn lose_power(&mut self) {
        self.running = None;
        self.disk.power_loss();
    }

    /// The disk is replaced by an empty one; the next start joins the cluster again.
    pub fn replace_disk(&mut self, seed: u64) {
        self.running = None;
        self.disk = PowerLoss::new(seed);
        self.config.joins = true;
    }

    /// Whether a snapshot of another member is on the disk and not installed yet.
    #[must_use]
    pub fn has_staged_snapshot(&self) -> bool {
        let names = self.disk.list(&self.checkpoint_dir());
        names.is_ok_and(|names| names.iter().any(|name| name.ends_with(".staged")))
    }

    /// The node, if it runs.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        self.running.as_ref().map(|(node, _)| node)
    }

    /// One pass of the node, if it runs.
    ///
    /// # Errors
    /// Why the node can do no more.
    pub fn pass(&mut self) -> Result<(), String> {
        match &mut self.running {
            Some((_, passes)) => {
                passes.pass().map_err(|error| error.to_string())?;
                // Work aside may have met it, and would be tried again for ever.
                if self.disk.is_off() { Err("the power is off".to_owned()) } else { Ok(()) }
            }
            None => Ok(()),
        }
    }

    /// Whether the node, if it runs, has nothing left to do until something arrives.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.running.as_ref().is_none_or(|(_, passes)| passes.is_settled())
    }

    /// Hands writes to the node together; their answers.
    ///
    /// # Panics
    /// When the node does not run.
    pub fn submit(&self, operations: &[Operation]) -> Vec<PendingWrite> {
        let node = self.node().expect("writes go to a running node");
        let (writes, answers) = operations.iter().map(write).unzip();
        node.submit(writes);
        answers
    }

    /// Hands one write to the node, numbered if it has an origin; its answer.
    ///
    /// # Panics
    /// As [`Machine::submit`].
    pub fn submit_as(&self, origin: Option<Origin>, operation: &Operation) -> PendingWrite {
        let (mut write, answer) = write(operation);
        write.command.origin = origin;
        self.node().expect("writes go to a running node").submit(vec![write]);
        answer
    }

    /// The directory of the log.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        Path::new(DIR).join("log")
    }

    /// The directory of checkpoints.
    #[must_use]
    pub fn checkpoint_dir(&self) -> PathBuf {
        Path::new(DIR).join("checkpoints")
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> storenode::log::Identity {
        storenode::log::Identity { cluster: self.config.cluster_id, member: self.config.member_id }
    }
}

fn write(operation: &Operation) -> (Write, PendingWrite) {
    let command = Command { origin: None, auth: AuthRevision(1), operation: operation.clone() };
    let (respond, answer) = Responder::new();
    (Write { command, respond }, Pending::new(answer))
}
