//! What a gateway can ask of one storage node, in the same process or across the network.
//!
//! ```text
//!  router ──submit(writes)──► Store        each write's responder gets its answer once it is durable and applied
//!         ──barrier()───────► Store        the leader's: what is committed now
//!         ──query(request)──► Store        reads of the applied state, leases' deadlines, the node's own status
//!         ──watch()─────────► Store
//!         ◄──standing()────── Store        who leads, in the node's eyes
//! ```

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{Answer, Command, Error, LogIndex, MemberId, Request, Revision, Term, WatchLink};

/// One storage node, as a gateway sees it.
pub trait Store: Send + Sync {
    /// The node's id.
    fn member(&self) -> MemberId;

    /// Hands writes over, in order. Each is answered through its responder, refusals included.
    fn submit(&self, writes: Vec<Write>);

    /// The index that a linearizable read must see applied. Only a leader answers.
    ///
    /// # Errors
    /// `NotLeader`, `NoLeader`, `LeaderChanged`, `Stopped`, `Timeout`.
    fn barrier(&self) -> Reply<Result<Barrier, Error>>;

    /// Answers from the node's state, once that is fresh enough: every request whose route is not `Write`.
    ///
    /// # Errors
    /// What the request's own rules say; `TimeoutWaitApplied` if the node does not become fresh enough in time.
    fn query(&self, request: Request, freshness: Freshness) -> Reply<Result<Answer, Error>>;

    /// Opens a link to the node's watch hub.
    fn watch(&self) -> WatchLink;

    /// What the node knows of the cluster's leadership, now and later.
    fn standing(&self) -> watch::Receiver<Standing>;
}

/// A node's view of who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether the node can be reached; of one that cannot nothing else is known.
    pub reachable: bool,
    /// Who leads, where the node knows it.
    pub leader: Option<MemberId>,
    /// The node's term.
    pub term: Term,
}

/// A command on its way to the log, with the way back.
#[derive(Debug)]
pub struct Write {
    /// What to log. A lease id of 0 is settled by the node that proposes.
    pub command: Command,
    /// Where the answer goes.
    pub respond: Responder,
}

/// The way back of one answer. Dropping it unused tells the caller that the outcome is unknown.
#[derive(Debug)]
pub struct Responder(Option<Way>);

#[derive(Debug)]
enum Way {
    /// To a caller of its own.
    Once(oneshot::Sender<Result<Answer, Error>>),
    /// To where the answers of many calls go, each with its call's number.
    Numbered(u64, mpsc::UnboundedSender<(u64, Result<Answer, Error>)>),
}

impl Responder {
    /// A responder, and the future of what it will be given.
    pub fn new() -> (Self, impl Future<Output = Result<Answer, Error>> + Send + use<>) {
        let (sender, receiver) = oneshot::channel();
        let answer = async move { receiver.await.unwrap_or(Err(Error::TimeoutConnectionLost)) };
        (Self(Some(Way::Once(sender))), answer)
    }

    /// A responder that puts its answer with others; whoever numbers the calls bounds them.
    #[must_use]
    pub fn numbered(number: u64, answers: mpsc::UnboundedSender<(u64, Result<Answer, Error>)>) -> Self {
        Self(Some(Way::Numbered(number, answers)))
    }

    /// Gives the answer. A caller that is gone does not mind.
    pub fn send(mut self, answer: Result<Answer, Error>) {
        self.give(answer);
    }

    fn give(&mut self, answer: Result<Answer, Error>) {
        match self.0.take() {
            Some(Way::Once(sender)) => drop(sender.send(answer)),
            Some(Way::Numbered(number, answers)) => drop(answers.send((number, answer))),
            None => {}
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.give(Err(Error::TimeoutConnectionLost));
    }
}

/// What a linearizable read must see applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Everything acknowledged before the barrier was asked for is at or below this index.
    pub index: LogIndex,
    /// The leader's term.
    pub term: Term,
}

/// How fresh a node must be to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// It has applied this index.
    pub applied: LogIndex,
    /// It has reached this revision: what the gateway's clients have already seen.
    pub revision: Revision,
}

/// An answer that is often there at once: reads of a node in the same process cost no allocation and no wake-up.
pub enum Reply<T> {
    /// Already there. `None` once taken.
    Ready(Option<T>),
    /// Still to come.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Reply<T> {
    /// An answer that is there.
    pub const fn ready(value: T) -> Self {
        Self::Ready(Some(value))
    }

    /// An answer that a future will give.
    pub fn later(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl<T: Unpin> Future for Reply<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.get_mut() {
            Self::Ready(value) => Poll::Ready(value.take().expect("a reply is awaited once")),
            Self::Later(future) => future.as_mut().poll(context),
        }
    }
}
