//! One storage node: recovered from its directory, driven by its own thread, asked through [`Store`].

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use internal_proto::{
    Answer, AuthRevision, Barrier, Command, Error, Freshness, Member, MemberId, Operation, Reply, Request, Responder,
    Store, WatchLink, Write,
};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::oneshot;

use crate::background::{Background, Place};
use crate::config::Config;
use crate::files::Files;
use crate::leader::lease_expiry::Lessor;
use crate::log::{Identity, SEGMENT_BYTES};
use crate::metrics::Metrics;
use crate::raft::driver::Pace;
use crate::raft::inbox::Inbox;
use crate::raft::shared::Shared;
use crate::raft::{Parts, core::Timing, recovery};
use crate::rpc::{Query, Settle};
use crate::state::Reader;
use crate::watch::Hub;

/// A storage node at work. Dropping it without [`Node::stop`] leaves its thread behind.
pub struct Node {
    inbox: Arc<Inbox>,
    shared: Arc<Shared>,
    query: Query,
    hub: Arc<Hub>,
    settle: Settle,
    driver: Mutex<Option<JoinHandle<()>>>,
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
}

impl Default for Tuning {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES }
    }
}

impl Node {
    /// Recovers the node and begins to serve. A cluster's lone member leads within milliseconds; others wait for a
    /// quorum.
    ///
    /// # Errors
    /// [`StartError`] when the directory holds what cannot be served.
    pub fn start(
        config: &Config,
        files: Arc<dyn Files>,
        registry: &Registry,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let identity = Identity { cluster: config.cluster_id, member: config.member_id };
        let place = Place { files, dir: config.data_dir.join("checkpoints"), identity };
        let members: Vec<MemberId> = config.members.iter().map(|member| member.id).collect();
        let log_dir = config.data_dir.join("log");
        let started = recover(&place, &log_dir, tuning, &members, timing(config))?;
        let reader = started.state.reader();
        let metrics = Metrics::new(registry, reader.clone()).map_err(|error| StartError(error.into()))?;
        let inbox = Arc::new(Inbox::default());
        let shared = Arc::new(Shared::new(config.member_id, reader.applied().0));
        let hub = Arc::new(Hub::new(reader.clone()));
        let lessor = Arc::new(Mutex::new(Lessor::default()));
        let background = Background::new(place, Arc::clone(&inbox), reader.clone(), started.checkpoint);
        let parts = Parts {
            started,
            hub: Arc::clone(&hub),
            lessor: Arc::clone(&lessor),
            inbox: Arc::clone(&inbox),
            shared: Arc::clone(&shared),
            background,
            metrics: Arc::new(metrics),
            pace: Pace { tick: config.tick(), election: config.election_timeout },
        };
        let driver = parts.drive().map_err(|error| StartError(error.into()))?;
        let query = Query { reader, shared: Arc::clone(&shared), lessor };
        let settle = Settle { min_ttl: config.min_lease_seconds() };
        let node = Self { inbox, shared, query, hub, settle, driver: Mutex::new(Some(driver)) };
        Ok(node)
    }

    /// Writes this member's own record, so that clients can find it. Repeated until a leader takes it.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the node stops first.
    pub async fn publish(&self, member: Member) -> Result<(), Error> {
        /// Between two tries; an election takes about ten times as long.
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
        loop {
            let operation = Operation::PublishMember(member.clone());
            let command = Command { origin: None, auth: AuthRevision::default(), operation };
            let (respond, answer) = Responder::new();
            self.submit(vec![Write { command, respond }]);
            match answer.await {
                Ok(_) => return Ok(()),
                Err(Error::Stopped) => return Err(Error::Stopped),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
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

fn recover(
    place: &Place,
    log_dir: &Path,
    tuning: Tuning,
    members: &[MemberId],
    timing: Timing,
) -> Result<recovery::Started, StartError> {
    recovery::start(place, log_dir, tuning.segment_bytes, members, timing).map_err(|error| StartError(error.into()))
}

fn timing(config: &Config) -> Timing {
    let ticks = |duration: std::time::Duration| {
        usize::try_from(duration.as_nanos() / config.tick().as_nanos().max(1)).unwrap_or(usize::MAX)
    };
    let election = ticks(config.election_timeout);
    // A range of 1.4 keeps elections short and still parts two candidates.
    let election_end = (election + election * 2 / 5).max(election + 1);
    Timing { heartbeat: ticks(config.heartbeat_interval), election, election_end, pre_vote: config.pre_vote }
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
}
