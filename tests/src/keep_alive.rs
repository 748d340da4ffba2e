//! A client that keeps a short lease alive, as etcd's own does: on one stream, three times in its life.

use std::time::{Duration, Instant};

use proto::etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::client::Client;

/// In seconds: longer than an election, shorter than any test.
const TTL: i64 = 6;

/// A lease that is kept alive.
pub struct KeepAlive {
    id: i64,
    stop: mpsc::Sender<()>,
    task: JoinHandle<Result<(), Status>>,
}

impl KeepAlive {
    /// Grants a lease and begins.
    ///
    /// # Errors
    /// The server's.
    pub async fn start(client: &Client) -> Result<Self, Status> {
        let grant = LeaseGrantRequest { ttl: TTL, id: 0 };
        let id = client.lease.clone().lease_grant(grant).await?.into_inner().id;
        let (stop, stopped) = mpsc::channel(1);
        let task = tokio::spawn(keep(client.clone(), id, stopped));
        Ok(Self { id, stop, task })
    }

    /// The lease.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// Ends it.
    ///
    /// # Errors
    /// What went wrong meanwhile: the stream ended, or an answer came late or said that the lease is gone.
    pub async fn finish(self) -> Result<(), Status> {
        drop(self.stop);
        self.task.await.map_err(|error| Status::aborted(error.to_string()))?
    }
}

async fn keep(client: Client, id: i64, mut stopped: mpsc::Receiver<()>) -> Result<(), Status> {
    let life = Duration::from_secs(TTL.unsigned_abs());
    let (requests, stream) = mpsc::channel(1);
    let ended = || Status::aborted("the keepalive stream has ended");
    requests.send(LeaseKeepAliveRequest { id }).await.map_err(|_| ended())?;
    let mut answers = client.lease.clone().lease_keep_alive(ReceiverStream::new(stream)).await?.into_inner();
    loop {
        let asked = Instant::now();
        let answer = tokio::time::timeout(life, answers.message()).await;
        let answer = answer.map_err(|_| Status::aborted("no answer within the lease's life"))??.ok_or_else(ended)?;
        if answer.ttl <= 0 {
            return Err(Status::aborted(format!("the lease is gone, {:?} after it was asked for", asked.elapsed())));
        }
        tokio::select! {
            _ = stopped.recv() => return Ok(()),
            () = tokio::time::sleep(life / 3) => {}
        }
        requests.send(LeaseKeepAliveRequest { id }).await.map_err(|_| ended())?;
    }
}
