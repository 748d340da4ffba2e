//! Clients of every kind at some addresses while something happens to the processes behind them.
//!
//! ```text
//!  each address   writers, a reader, an open watch, a lease kept alive
//!  process lost   its clients end with it; what its watch has brought is the begin of the truth
//!  judge          nothing lost, nothing twice, no read too old, every stream complete and in order
//! ```
//!
//! Invariants: clients of processes that are not said to be lost are never answered with an error; since that depends
//! on deadlines, one traffic of a suite goes on at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::etcdserverpb::{LeaseRevokeRequest, PutRequest};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tonic::Status;

use crate::client::Client;
use crate::history::follow::Follower;
use crate::history::load::{self, Record};
use crate::history::{Change, checker, read};
use crate::keep_alive::KeepAlive;

/// Acknowledged writes until it is said to go on.
const WRITES: usize = 300;
/// For them, whatever has happened.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whose turn it is.
static TURN: Semaphore = Semaphore::const_new(1);

/// The right to have traffic. Taken before a cluster is looked at, as it may take a while.
pub type Turn = SemaphorePermit<'static>;

/// Waits until no other test of this suite has traffic.
///
/// # Panics
/// Never: the turns do not end.
pub async fn turn() -> Turn {
    TURN.acquire().await.expect("it is never closed")
}

/// Everything that goes on.
pub struct Traffic {
    /// What was written and told.
    pub record: Arc<Record>,
    at: Vec<Clients>,
    /// What watches of lost processes had brought.
    begins: Vec<Vec<Change>>,
    /// Leases that somebody has kept alive: revoked in the end, so that none expires later.
    leases: Vec<i64>,
    seeds: u64,
    _turn: Turn,
}

/// The clients of one address.
struct Clients {
    address: SocketAddr,
    busy: JoinSet<Result<(), Status>>,
    follower: Follower,
    kept: KeepAlive,
}

impl Traffic {
    /// Begins at these addresses.
    ///
    /// # Errors
    /// The server's.
    pub async fn start(turn: Turn, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Self, Status> {
        let (at, record) = (Vec::new(), Arc::default());
        let mut traffic = Self { record, at, begins: Vec::new(), leases: Vec::new(), seeds: 0, _turn: turn };
        for address in addresses {
            traffic.enter(address).await?;
        }
        Ok(traffic)
    }

    /// Begins at one more address.
    ///
    /// # Errors
    /// The server's.
    pub async fn enter(&mut self, address: SocketAddr) -> Result<(), Status> {
        let connected = Client::connect(address).await;
        let client = connected.map_err(|error| Status::unavailable(error.to_string()))?;
        let (follower, kept) = (Follower::start(&client, 2).await?, KeepAlive::start(&client).await?);
        self.leases.push(kept.id());
        let mut busy = load::start(address, &self.record, self.seeds);
        self.seeds += 1;
        busy.spawn(read::run(address, Arc::clone(&self.record)));
        self.at.push(Clients { address, busy, follower, kept });
        Ok(())
    }

    /// The process at an address has ended, and with it everything there.
    pub async fn lost(&mut self, address: SocketAddr) {
        self.ended(address).await;
    }

    /// The process at an address has ended in order: no client there was answered with an error, but found nobody for
    /// its next call.
    ///
    /// # Errors
    /// What a client was answered.
    pub async fn left(&mut self, address: SocketAddr) -> Result<(), String> {
        let failed = self.ended(address).await.into_iter().find(|status| !was_never_sent(status));
        failed.map_or(Ok(()), |status| Err(format!("a call at {address} was cut off: {status:?}")))
    }

    /// How the clients of an address ended.
    async fn ended(&mut self, address: SocketAddr) -> Vec<Status> {
        let place = self.at.iter().position(|clients| clients.address == address);
        let mut clients = self.at.swap_remove(place.expect("only what was entered can end"));
        let mut statuses = Vec::new();
        while let Some(ended) = clients.busy.join_next().await {
            statuses.extend(ended.ok().and_then(Result::err));
        }
        self.begins.push(clients.follower.ended().await);
        statuses
    }

    /// Waits for writes, and for every client to be at work.
    ///
    /// # Errors
    /// What a client was answered.
    pub async fn goes_on(&mut self) -> Result<(), String> {
        let progress = tokio::time::timeout(DEADLINE, self.record.acknowledged(WRITES)).await;
        for clients in &mut self.at {
            if let Some(ended) = clients.busy.try_join_next() {
                return Err(format!("a client of {} was answered: {ended:?}", clients.address));
            }
        }
        progress.map_err(|_| "writes do not go on".to_owned())
    }

    /// Ends it, and judges what was told.
    ///
    /// # Errors
    /// What contradicts a promise.
    pub async fn judge(self, client: &Client) -> Result<(), String> {
        self.record.stop();
        let told = |status: Status| status.to_string();
        let (mut followers, mut kept) = (Vec::new(), Vec::new());
        for mut clients in self.at {
            while let Some(ended) = clients.busy.join_next().await {
                let ended = ended.map_err(|error| error.to_string())?;
                ended.map_err(|status| format!("a client of {} was answered: {status:?}", clients.address))?;
            }
            followers.push(clients.follower);
            kept.push(clients.kept);
        }
        self.record.stale().map_or(Ok(()), Err)?;
        // A write that was cut off may still be on its way; the last one is behind it.
        let last = PutRequest { key: "last".into(), value: "last".into(), ..PutRequest::default() };
        let answer = client.kv.clone().put(last).await.map_err(told)?.into_inner();
        let end = answer.header.map_or(0, |header| header.revision);
        let history = all(client, end).await.map_err(told)?;
        checker::check(&self.record.writes.lock(), &history, end - 1)?;
        for follower in followers {
            let mut changes = follower.finish(end).await.map_err(told)?;
            changes.retain(|change| change.revision < end);
            if changes != history {
                return Err("an open watch has brought something else than a new one".to_owned());
            }
        }
        if let Some(begin) = self.begins.iter().find(|begin| !history.starts_with(begin)) {
            return Err(format!("a watch that was lost had brought {:?} at last, and not the truth", begin.last()));
        }
        for kept in kept {
            kept.finish().await.map_err(told)?;
        }
        for id in self.leases {
            // Those of lost clients may have expired.
            let _ = client.lease.clone().lease_revoke(LeaseRevokeRequest { id }).await;
        }
        Ok(())
    }
}

/// Whether the call failed in this client, before it reached a connection: hyper's words for a call that was queued
/// when its connection ended, and those of a connection that nobody took.
fn was_never_sent(status: &Status) -> bool {
    status.message() == "operation was canceled" || status.message().contains("connect error")
}

/// The history before a revision.
async fn all(client: &Client, end: i64) -> Result<Vec<Change>, Status> {
    let mut changes = crate::history::follow::changes(client, 2, end).await?;
    changes.retain(|change| change.revision < end);
    Ok(changes)
}
