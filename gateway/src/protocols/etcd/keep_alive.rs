//! A stream of keepalives: read at once, answered in order, many at a time.
//!
//! ```text
//!  first   client ──► ask ──► client       many clients open a stream for one keepalive
//!  others  client ──► reader ──queue──► asks, at most IN_FLIGHT at once, answers in order ──► client
//! ```
//!
//! The reader never waits for the store: a client may write ten thousand keepalives in one burst, and frames left
//! unread would end the connection for all of its streams. It is a task of its own, which one keepalive is not worth.
//!
//! Invariants: one answer per keepalive, in order; a lease that is gone is answered with a time to live of 0.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use internal_proto::{Answer, Error, LeaseId, Request, Response};
use proto::etcdserverpb as wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::caller::Caller;
use super::error;
use crate::stack::Handle;

/// The answer of LeaseKeepAlive.
pub(super) type KeepAliveStream = Pin<Box<dyn Stream<Item = Answered> + Send>>;

type Answered = Result<wire::LeaseKeepAliveResponse, Status>;
/// A keepalive that was read.
type Item = Result<LeaseId, Status>;
type Requests = Streaming<wire::LeaseKeepAliveRequest>;

/// Keepalives read but not asked yet: several bursts of ten thousand, a few hundred kilobytes. A client that has more
/// of them outstanding has stopped reading answers.
const QUEUE: usize = 65_536;

/// Keepalives of one stream asked at once; the router puts what is asked together into one frame.
const IN_FLIGHT: usize = 256;

/// What becomes of a stream after its first keepalive.
enum Later {
    /// No more of it.
    Over,
    /// There was no second one yet.
    Unread(Box<Requests>),
    /// The reader is at work.
    Read(mpsc::Receiver<Item>),
}

/// Answers the keepalives that `requests` brings until it ends.
pub(super) fn stream<S: Handle>(caller: Caller<S>, requests: Requests) -> KeepAliveStream {
    let answers = stream::once(first(caller.clone(), requests)).flat_map(move |(answer, later)| {
        stream::iter(answer).chain(stream::once(others(caller.clone(), later)).flatten())
    });
    Box::pin(answers)
}

/// The answer to the first keepalive, often the only one, and what comes later. A second one that does not wait for it
/// calls the reader.
async fn first<S: Handle>(caller: Caller<S>, mut requests: Requests) -> (Option<Answered>, Later) {
    let lease = match next(&mut requests).await {
        Some(Ok(lease)) => lease,
        Some(Err(status)) => return (Some(Err(status)), Later::Over),
        None => return (None, Later::Over),
    };
    let answer = renew(&caller, lease);
    tokio::pin!(answer);
    let (answer, later) = tokio::select! {
        biased;
        answer = &mut answer => (answer, Later::Unread(Box::new(requests))),
        second = next(&mut requests) => {
            let later = second.map_or(Later::Over, |second| Later::Read(read_from(second, requests)));
            (answer.await, later)
        }
    };
    let later = if answer.is_ok() { later } else { Later::Over };
    (Some(answer), later)
}

/// The answers to all later ones.
async fn others<S: Handle>(caller: Caller<S>, later: Later) -> KeepAliveStream {
    let queued = match later {
        Later::Over => return Box::pin(stream::empty()),
        Later::Read(queued) => queued,
        Later::Unread(mut requests) => match next(&mut requests).await {
            Some(second) => read_from(second, *requests),
            None => return Box::pin(stream::empty()),
        },
    };
    let answers = ReceiverStream::new(queued)
        .map(move |item| {
            let caller = caller.clone();
            async move { renew(&caller, item?).await }
        })
        .buffered(IN_FLIGHT)
        // The first error is the stream's last item.
        .scan(false, |failed, item| {
            let item = if *failed { None } else { Some(item) };
            *failed = matches!(item, Some(Err(_)));
            std::future::ready(item)
        });
    Box::pin(answers)
}

/// Sets the reader to work.
fn read_from(second: Item, requests: Requests) -> mpsc::Receiver<Item> {
    let (queue, queued) = mpsc::channel(QUEUE);
    tokio::spawn(read(second, requests, queue));
    queued
}

/// Moves keepalives into the queue until the client ends, or the answers are no longer wanted.
async fn read(second: Item, mut requests: Requests, queue: mpsc::Sender<Item>) {
    let mut item = second;
    loop {
        let ended = item.is_err();
        if queue.try_send(item).is_err() {
            // Full: what is queued is answered, then the client learns why.
            let _ = queue.send(Err(error::status(Error::TooManyRequests))).await;
            return;
        }
        if ended {
            return;
        }
        item = tokio::select! {
            next = next(&mut requests) => match next {
                Some(next) => next,
                None => return,
            },
            () = queue.closed() => return,
        };
    }
}

/// The next keepalive; `None` once the client has said its last.
async fn next(requests: &mut Requests) -> Option<Item> {
    requests.message().await.map(|request| Some(LeaseId(request?.id))).transpose()
}

async fn renew<S: Handle>(caller: &Caller<S>, lease: LeaseId) -> Answered {
    let (stamp, ttl) = match caller.ask(caller.background(), Request::LeaseKeepAlive(lease)).await {
        Ok(Answer { response: Response::LeaseKeepAlive { ttl }, stamp }) => (stamp, ttl),
        Ok(answer) => return Err(error::mismatched(answer.stamp)),
        Err(error) => return Err(error::status(error)),
    };
    let header = Some(caller.header(&stamp, stamp.revision));
    Ok(wire::LeaseKeepAliveResponse { header, id: lease.0, ttl })
}
