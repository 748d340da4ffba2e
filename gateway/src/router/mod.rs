//! Where a call goes: the innermost service of the stack.
//!
//! ```text
//!  Write         ─► pipeline ─► the leader's log
//!  Linearizable  ─► barrier from the leader ─► a node that has applied it
//!  Serializable  ─► a node, as it is
//!  Leader        ─► the leader's own state
//! ```
//!
//! Invariants: no answer is older than what this gateway has shown before (`floor`); a write whose outcome is unknown
//! is never sent again, one that a node refused unlogged is.

mod floor;
mod pipeline;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use internal_proto::{Answer, AuthRevision, Command, Error, Freshness, LogIndex, Operation, Request, Route, Store};

pub use floor::Floor;

use crate::call::Call;
use pipeline::Pipeline;

/// How long a call waits before it asks again who leads: an election takes about a hundred times as long.
const LEADER_RETRY: Duration = Duration::from_millis(10);

/// Sends calls to storage nodes.
#[derive(Clone)]
pub struct Router {
    store: Arc<dyn Store>,
    pipeline: Arc<Pipeline>,
    floor: Arc<Floor>,
}

impl Router {
    /// A router to one storage node.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&store)));
        Self { store, pipeline, floor: Arc::default() }
    }

    /// The highest revision that this gateway has shown.
    #[must_use]
    pub const fn floor(&self) -> &Arc<Floor> {
        &self.floor
    }

    /// Answers a request. While there is no leader it waits for one; the deadline is the caller's.
    ///
    /// # Errors
    /// What the request's own rules say, or why no node could answer.
    pub async fn route(&self, request: Request) -> Result<Answer, Error> {
        let answer = match request.route() {
            Route::Write => self.write(request).await,
            Route::Linearizable => self.read_linearizable(request).await,
            Route::Serializable => self.query(request, LogIndex::default()).await,
            Route::Leader => self.ask_leader(request).await,
        }?;
        self.floor.raise(answer.stamp.revision);
        Ok(answer)
    }

    async fn write(&self, request: Request) -> Result<Answer, Error> {
        let operation = operation(request);
        loop {
            // A clone of a command only counts references: a refused write can be sent again.
            let command = Command { origin: None, auth: AuthRevision::default(), operation: operation.clone() };
            match self.pipeline.send(command).await {
                Err(Error::NotLeader { .. } | Error::NoLeader) => tokio::time::sleep(LEADER_RETRY).await,
                answer => return answer,
            }
        }
    }

    async fn read_linearizable(&self, request: Request) -> Result<Answer, Error> {
        loop {
            match self.store.barrier().await {
                Ok(barrier) => return self.query(request, barrier.index).await,
                Err(Error::NotLeader { .. } | Error::NoLeader | Error::LeaderChanged) => {
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn ask_leader(&self, request: Request) -> Result<Answer, Error> {
        loop {
            match self.read_linearizable(request.clone()).await {
                Err(Error::NotLeader { .. } | Error::NoLeader) => tokio::time::sleep(LEADER_RETRY).await,
                answer => return answer,
            }
        }
    }

    async fn query(&self, request: Request, applied: LogIndex) -> Result<Answer, Error> {
        let freshness = Freshness { applied, revision: self.floor.get() };
        self.store.query(request, freshness).await
    }
}

impl tower::Service<Call> for Router {
    type Response = Answer;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { router.route(call.request).await })
    }
}

/// The logged form of a request whose route is `Write`.
fn operation(request: Request) -> Operation {
    match request {
        Request::Put(put) => Operation::Put(put),
        Request::DeleteRange(delete) => Operation::DeleteRange(delete),
        Request::Txn(txn) => Operation::Txn(txn),
        Request::Compact(compact) => Operation::Compact(compact),
        Request::LeaseGrant(grant) => Operation::LeaseGrant(grant),
        Request::LeaseRevoke(id) => Operation::LeaseRevoke(id),
        read => unreachable!("{} is no write", read.name()),
    }
}
