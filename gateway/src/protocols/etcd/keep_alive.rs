//! A stream of keepalives: read at once, answered in order, many at a time.
//!
//! ```text
//!  client ──► reader ──queue──► asks, at most IN_FLIGHT at once, answers in order ──► client
//! ```
//!
//! The reader never waits for the store: a client may write ten thousand keepalives in one burst, and frames left
//! unread would end the connection for all of its streams.
//!
//! Invariants: one answer per keepalive, in order; a lease that is gone is answered with a time to live of 0.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use internal_proto::{Answer, Error, LeaseId, Request, Response};
use proto::etcdserverpb as wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::caller::Caller;
use super::error;
use crate::stack::Handle;

/// The answer of LeaseKeepAlive.
pub(super) type KeepAliveStream = Pin<Box<dyn Stream<Item = Result<wire::LeaseKeepAliveResponse, Status>> + Send>>;

/// Keepalives read but not asked yet: several bursts of ten thousand, a few hundred kilobytes. A client that has more
/// of them outstanding has stopped reading answers.
const QUEUE: usize = 65_536;

/// Keepalives of one stream asked at once; the router puts what is asked together into one frame.
const IN_FLIGHT: usize = 256;

/// Answers the keepalives that `requests` brings until it ends.
pub(super) fn stream<S: Handle>(
    caller: Caller<S>,
    requests: Streaming<wire::LeaseKeepAliveRequest>,
) -> KeepAliveStream {
    let (queue, queued) = mpsc::channel(QUEUE);
    tokio::spawn(read(requests, queue));
    let answers = ReceiverStream::new(queued)
        .map(move |item: Result<LeaseId, Status>| {
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

/// Moves keepalives into the queue until the client ends, or the answers are no longer wanted.
async fn read(mut requests: Streaming<wire::LeaseKeepAliveRequest>, queue: mpsc::Sender<Result<LeaseId, Status>>) {
    loop {
        let next = tokio::select! {
            next = requests.message() => next,
            () = queue.closed() => return,
        };
        let item = match next {
            Ok(None) => return,
            Ok(Some(request)) => Ok(LeaseId(request.id)),
            Err(status) => Err(status),
        };
        let ended = item.is_err();
        if queue.try_send(item).is_err() {
            // Full: what is queued is answered, then the client learns why.
            let _ = queue.send(Err(error::status(Error::TooManyRequests))).await;
            return;
        }
        if ended {
            return;
        }
    }
}

async fn renew<S: Handle>(caller: &Caller<S>, lease: LeaseId) -> Result<wire::LeaseKeepAliveResponse, Status> {
    let (stamp, ttl) = match caller.ask(caller.background(), Request::LeaseKeepAlive(lease)).await {
        Ok(Answer { response: Response::LeaseKeepAlive { ttl }, stamp }) => (stamp, ttl),
        Ok(answer) => return Err(error::mismatched(answer.stamp)),
        Err(error) => return Err(error::status(error)),
    };
    let header = Some(caller.header(&stamp, stamp.revision));
    Ok(wire::LeaseKeepAliveResponse { header, id: lease.0, ttl })
}
