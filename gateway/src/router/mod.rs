//! Where a call goes: the innermost service of the stack.
//!
//! ```text
//!  Write         ─► pipeline ─► the leader's log                    numbered, where an answer can be lost on the way
//!  Linearizable  ─► barrier from the leader ─► a node that has applied it: the own one
//!  Serializable  ─► a node, as it is: the own one
//!  Leader        ─► the leader's own state
//! ```
//!
//! Invariants: no answer is older than what this gateway has shown before (`floor`), no linearizable one older than an
//! acknowledged write; a write whose outcome is unknown is sent again only under its own number.

mod connection;
mod floor;
mod membership;
mod nodes;
mod pipeline;
mod read;
mod seeds;
mod session;
mod topology;
mod write;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use internal_proto::{Answer, Error, LogIndex, Request, Route};

pub use connection::{Introduction, greet};
pub use floor::Floor;
pub use membership::follow_members;
pub use nodes::Nodes;
pub use seeds::follow_seeds;

use crate::call::Call;
use session::Session;

/// How long a call waits before it asks again who leads: an election takes about a hundred times as long.
const LEADER_RETRY: Duration = Duration::from_millis(10);

/// Sends calls to storage nodes.
#[derive(Clone)]
pub struct Router {
    nodes: Arc<Nodes>,
    floor: Arc<Floor>,
    session: Arc<Session>,
    /// How long a numbered write is tried.
    write_timeout: Duration,
}

impl Router {
    /// A router to some storage nodes. `server_timeout` is what the deadline layer allows a call.
    #[must_use]
    pub fn new(nodes: Arc<Nodes>, server_timeout: Duration) -> Self {
        /// The router knows better than the deadline layer why a write got no answer, so it is a little earlier.
        const EARLIER: Duration = Duration::from_millis(20);
        let write_timeout = server_timeout.saturating_sub(EARLIER);
        Self { nodes, floor: Arc::default(), session: Arc::default(), write_timeout }
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
            Route::Serializable => self.read(request, LogIndex::default()).await,
            Route::Leader => self.ask_leader(request).await,
        }?;
        self.floor.raise(answer.stamp.revision);
        Ok(answer)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
