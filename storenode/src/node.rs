//! One storage node: recovered from its directory, driven by its own thread, asked through [`Store`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use internal_proto::{
    Answer, Barrier, Error, Freshness, Member, MemberId, Operation, Reply, Request, Responder, Standing,
    StatusResponse, Store, WatchLink, Write,
};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::{oneshot, watch};

use crate::background::{Background, LOG_BYTES_BETWEEN_CHECKPOINTS, LOG_BYTES_BETWEEN_FLUSHES, Pacing, Place, Threads};
use crate::config::Config;
use crate::files::Files;
use crate::leader::lease_expiry::Lessor;
use crate::log::{Identity, SEGMENT_BYTES};
use crate::metrics::Metrics;
use crate::raft::apply_stage::ApplyPlace;
use crate::raft::driver::Driver;
use crate::raft::forward;
use crate::raft::inbox::{Inbox, Notice, StageEvent};
use crate::raft::log_stage::LogPlace;
use crate::raft::member::{Clock, Pace};
use crate::raft::shared::Shared;
use crate::raft::snapshot::{SnapshotPace, Snapshots};
use crate::raft::transport::{PeerMessage, Recipient, Transport};
use crate::raft::{self, Parts, core::Timing, recovery};
use crate::rpc::{Query, Settle};
use crate::state::Reader;
use crate::storage::{Durability, Storages};
use crate::watch::Hub;

/// A storage node at work. Dropping it without [`Node::stop`] leaves its thread behind.
pub struct Node {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    query: Query,
    hub: Arc<Hub>,
    settle: Settle,
    driver: Mutex<Option<JoinHandle<()>>>,
    /// It was asked to make way.
    drained: AtomicBool,
}

/// Why a node cannot start: a sentence that names the thing and the way out.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StartError(Box<dyn std::error::Error + Send + Sync>);

/// What tests choose and users do not.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// The size of log segments.
    pub segment_bytes: u32,
    /// The least growth of the log between two checkpoints.
    pub bytes_between_checkpoints: u64,
    /// The wait for an election in ticks, at least the timeout, if it is not to be drawn at random: raft-rs asks the
    /// thread's generator, which no seed reaches.
    pub election_ticks: Option<usize>,
    /// Where the log is written and synced.
    pub log: LogPlace,
    /// Where entries are applied.
    pub apply: ApplyPlace,
    /// How fast snapshots travel between members.
    pub snapshots: SnapshotPace,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            bytes_between_checkpoints: LOG_BYTES_BETWEEN_CHECKPOINTS,
            election_ticks: None,
            log: LogPlace::Auto,
            apply: ApplyPlace::Auto,
            snapshots: SnapshotPace::default(),
        }
    }
}

/// What a node stands on: all that reaches outside the process.
#[derive(Clone)]
pub struct Surroundings {
    /// The disk.
    pub files: Arc<dyn Files>,
    /// The way to the peers.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Clock,
}

impl Node {
    /// Recovers the node and begins to serve, on a thread of its own. A cluster's lone member leads within
    /// milliseconds; others wait for a quorum.
    ///
    /// # Errors
    /// [`StartError`] when the directory holds what cannot be served.
    pub fn start(
        config: &Config,
        surroundings: Surroundings,
        registry: &Registry,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let (node, driver) = Self::assemble(config, surroundings, registry, tuning, Threads::Own)?;
        let driver = raft::run(driver, Arc::clone(&node.shared)).map_err(start_error)?;
        *node.driver.lock() = Some(driver);
        Ok(node)
    }

    /// Recovers a node that does nothing by itself: every pass of its driver is the caller's. For simulation.
    ///
    /// # Errors
    /// [`StartError`] when the directory holds what cannot be served.
    pub fn simulate(
        config: &Config,
        surroundings: Surroundings,
        registry: &Registry,
        tuning: Tuning,
    ) -> Result<(Self, Passes), StartError> {
        let log = if tuning.log == LogPlace::Auto { LogPlace::Inline } else { tuning.log };
        let apply = if tuning.apply == ApplyPlace::Auto { ApplyPlace::Inline } else { tuning.apply };
        let tuning = Tuning { log, apply, ..tuning };
        let (node, mut driver) = Self::assemble(config, surroundings, registry, tuning, Threads::Inline)?;
        driver.begin().map_err(start_error)?;
        Ok((node, Passes(driver)))
    }

    fn assemble(
        config: &Config,
        surroundings: Surroundings,
        registry: &Registry,
        tuning: Tuning,
        threads: Threads,
    ) -> Result<(Self, Driver), StartError> {
        let Surroundings { files, transport, clock } = surroundings;
        let identity = Identity { cluster: config.cluster_id, member: config.member_id };
        let place = Place { files, dir: config.data_dir.join("checkpoints"), identity };
        let founders: Vec<MemberId> = match config.joins {
            true => Vec::new(),
            false => config.members.iter().map(|member| member.id).collect(),
        };
        let log_dir = config.data_dir.join("log");
        let timing = timing(config, tuning);
        let storages = Arc::new(Storages::new(config.engine, place.clone(), &config.data_dir));
        let started =
            recovery::start(&storages, &log_dir, tuning.segment_bytes, &founders, timing).map_err(start_error)?;
        let reader = started.state.reader();
        let metrics = Metrics::new(registry, reader.clone()).map_err(start_error)?;
        let inbox = Arc::new(Inbox::default());
        let shared = Arc::new(Shared::new(config.member_id, reader.applied().0));
        let hub = Arc::new(Hub::new(reader.clone()));
        let lessor = Arc::new(Mutex::new(Lessor::default()));
        let durability = started.durability.clone();
        durability.on_failure(stop_all(&shared, &inbox));
        let bytes_between_checkpoints = match &durability {
            Durability::Checkpoints => tuning.bytes_between_checkpoints,
            Durability::Flushes(_) => LOG_BYTES_BETWEEN_FLUSHES,
        };
        if let Some(durable) = started.durable {
            // A crash may have left more of the log than is needed.
            inbox.report(StageEvent::Checkpointed(Ok(durable)));
        }
        let pacing = Pacing { threads, bytes_between_checkpoints };
        let background =
            Background::new(place, durability, Arc::clone(&inbox), reader.clone(), started.durable, pacing);
        let parts = Parts {
            started,
            hub: Arc::clone(&hub),
            lessor: Arc::clone(&lessor),
            inbox: Arc::clone(&inbox),
            shared: Arc::clone(&shared),
            background,
            transport,
            metrics: Arc::new(metrics),
            clock: Arc::clone(&clock),
            pace: pace(config),
            log_place: tuning.log,
            apply_place: tuning.apply,
            snapshots: Snapshots::new(storages, tuning.snapshots),
        };
        let driver = parts.assemble();
        let quota_bytes = config.quota_bytes;
        let (shared_by_query, long_reads) = (Arc::clone(&shared), Query::turns());
        let query = Query { reader, shared: shared_by_query, lessor, clock, quota_bytes, long_reads };
        let settle = Settle { min_ttl: config.min_lease_seconds() };
        Ok((
            Self { inbox, shared, query, hub, settle, driver: Mutex::default(), drained: AtomicBool::default() },
            driver,
        ))
    }

    /// Writes this member's own record, so that clients can find it. Repeated until a leader takes it: this node, or
    /// the one that it follows.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the node stops first.
    pub async fn publish(&self, member: Member) -> Result<(), Error> {
        /// Between two tries; an election takes about ten times as long.
        const PAUSE: Duration = Duration::from_millis(20);
        /// For a forwarded record to come back applied.
        const ROUND_TRIP: Duration = Duration::from_millis(500);
        let command = forward::own(Operation::PublishMember(member.clone()));
        loop {
            let (respond, answer) = Responder::new();
            self.submit(vec![Write { command: command.clone(), respond }]);
            match answer.await {
                Ok(_) => return Ok(()),
                Err(Error::Stopped) => return Err(Error::Stopped),
                Err(Error::NotLeader { .. }) => {
                    self.inbox.notice(Notice::Forward(command.clone()));
                    if tokio::time::timeout(ROUND_TRIP, self.published(&member)).await.is_ok() {
                        return Ok(());
                    }
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn published(&self, member: &Member) {
        let mut applied = self.shared.watch_applied();
        // An error means that the driver is gone, which the next try finds out.
        let _ = applied.wait_for(|_| self.reader().members().contains(member)).await;
    }

    /// Gives leadership to another voter, if this node leads and there is one. Over when another leads, or none took
    /// over within an election timeout; writes that came meanwhile are answered `NotLeader` or go on here.
    pub fn hand_over(&self) -> impl Future<Output = ()> + Send + use<> {
        let (done, over) = oneshot::channel();
        self.inbox.notice(Notice::HandOver(done));
        async move {
            // The sender is dropped when it is over.
            let _ = over.await;
        }
    }

    /// As [`Node::hand_over`], and from now on the node says that it is drained.
    pub async fn drain(&self) {
        self.drained.store(true, Ordering::Relaxed);
        self.hand_over().await;
    }

    /// Whether the node was asked to make way since it started.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Relaxed)
    }

    /// The node's own state.
    #[must_use]
    pub fn status(&self) -> StatusResponse {
        self.query.status()
    }

    /// Reads of the applied state.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.query.reader
    }

    /// Waits until the node stops by itself; the reason. Its data directory is as durable as ever.
    pub async fn failed(&self) -> String {
        let mut failed = self.shared.watch_failed();
        let reason = failed.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }

    /// Stops after what is queued, and waits for it. Blocks.
    pub fn stop(&self) {
        self.inbox.stop();
        if let Some(driver) = self.driver.lock().take()
            && driver.join().is_err()
        {
            tracing::error!("the driver's thread ended with a panic");
        }
    }
}

impl Recipient for Node {
    fn deliver(&self, message: PeerMessage) {
        self.inbox.deliver(message);
    }

    fn unreachable(&self, peer: MemberId) {
        self.inbox.notice(Notice::Unreachable(peer));
    }

    fn gone(&self, peer: MemberId) {
        self.inbox.notice(Notice::Gone(peer));
    }
}

/// The driver of a simulated node.
pub struct Passes(Driver);

impl Passes {
    /// Deals with what has arrived and with the time that has passed.
    ///
    /// # Errors
    /// Why the node can do no more.
    pub fn pass(&mut self) -> Result<(), StartError> {
        self.0.pass().map(drop).map_err(start_error)
    }

    /// Whether nothing is left to do until something arrives.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.0.is_settled()
    }
}

/// What a read that fails on any thread does: it has no answer, and the next one would have none either.
pub(crate) fn stop_all(shared: &Arc<Shared>, inbox: &Arc<Inbox>) -> impl Fn(&str) + Send + Sync + 'static {
    let (shared, inbox) = (Arc::clone(shared), Arc::clone(inbox));
    move |reason| {
        tracing::error!(%reason, "the node stops");
        shared.set_failed(reason.to_owned());
        inbox.stop();
    }
}

fn start_error(error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError(Box::new(error))
}

fn pace(config: &Config) -> Pace {
    /// Of the time between two heartbeats: what keeps the raft thread busy for longer may make a peer lose one.
    const BEARABLE_FRACTION: u32 = 4;
    let bearable = config.heartbeat_interval / BEARABLE_FRACTION;
    Pace { tick: config.tick(), election: config.election_timeout, bearable }
}

fn timing(config: &Config, tuning: Tuning) -> Timing {
    let tick = config.tick().as_nanos().max(1);
    let ticks = |duration: Duration| usize::try_from(duration.as_nanos() / tick).unwrap_or(usize::MAX);
    let shortest = ticks(config.election_timeout);
    // A range of 1.4 keeps elections short and still parts two candidates.
    let drawn = (shortest, (shortest + shortest * 2 / 5).max(shortest + 1));
    let (first_election, election_end) = tuning.election_ticks.map_or(drawn, |ticks| (ticks, ticks + 1));
    let heartbeat = ticks(config.heartbeat_interval);
    Timing { heartbeat, election: shortest, first_election, election_end, pre_vote: config.pre_vote }
}

impl Store for Node {
    fn member(&self) -> MemberId {
        self.shared.member()
    }

    fn submit(&self, writes: Vec<Write>) {
        self.inbox.submit(self.settle.all(writes, &mut rand::rng()));
    }

    fn barrier(&self) -> Reply<Result<Barrier, Error>> {
        if self.shared.is_sole_leader() {
            let (index, term) = self.query.reader.applied();
            return Reply::ready(Ok(Barrier { index, term }));
        }
        let (respond, answer) = oneshot::channel();
        self.inbox.barrier(respond);
        Reply::later(async move { answer.await.unwrap_or(Err(Error::Stopped)) })
    }

    fn query(&self, request: Request, freshness: Freshness) -> Reply<Result<Answer, Error>> {
        self.query.answer(request, freshness)
    }

    fn watch(&self) -> WatchLink {
        self.hub.link()
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.shared.watch_standing()
    }
}
