//! Calls to one node over one connection.
//!
//! ```text
//!  ask ─► queue ─► frame ══► node          what queues while a frame is sent forms the next one
//!  barrier ─► all that wait share one call
//!            in flight ◄══ answers, by number
//! ```
//!
//! Invariants: a call is answered once; the queue is bounded, and what finds it full is refused; while the node cannot
//! be reached calls are refused at once, so the caller can look for another node.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use internal_proto::wire::{Ask, Call, CallFrame, Joiner, MAX_FRAME_BYTES, Malformed, Told};
use internal_proto::{Barrier, Error, MemberId, Responder};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::Client;
use super::backoff::Backoff;

/// Calls that may wait for the connection, and calls that may wait for their answer: as many as a node takes.
const MAX_CALLS: usize = 100_000;
/// Bytes of calls that may wait for the connection.
const MAX_WAITING_BYTES: usize = 256 << 20;

/// The way back of one barrier.
type BarrierResponder = oneshot::Sender<Result<Barrier, Error>>;

/// A call with its way back.
pub(super) struct Asked {
    pub(super) ask: Ask,
    pub(super) respond: Responder,
}

/// One lane. A clone is the same lane.
#[derive(Clone, Default)]
pub(super) struct Lane(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    queued: Notify,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<(Asked, usize)>,
    bytes: usize,
    barriers: Vec<BarrierResponder>,
    /// The node could not be reached a moment ago.
    unreachable: bool,
}

/// Who waits for a call's answer.
enum Waiter {
    Answer(Responder),
    Barriers(Vec<BarrierResponder>),
}

impl Lane {
    /// Queues calls, in order.
    pub(super) fn ask(&self, calls: impl IntoIterator<Item = Asked>) {
        let mut refused = Vec::new();
        let mut queue = self.0.queue.lock();
        for asked in calls {
            let bytes = weight(&asked.ask);
            if queue.unreachable {
                refused.push((asked, Error::NoLeader));
            } else if queue.calls.len() >= MAX_CALLS || queue.bytes > MAX_WAITING_BYTES {
                refused.push((asked, Error::TooManyRequests));
            } else {
                queue.bytes += bytes;
                queue.calls.push_back((asked, bytes));
            }
        }
        drop(queue);
        self.0.queued.notify_one();
        for (asked, error) in refused {
            asked.respond.send(Err(error));
        }
    }

    /// Queues a barrier.
    pub(super) fn barrier(&self, respond: BarrierResponder) {
        let mut queue = self.0.queue.lock();
        let refusal = if queue.unreachable {
            Error::NoLeader
        } else if queue.barriers.len() >= MAX_CALLS {
            Error::TooManyRequests
        } else {
            queue.barriers.push(respond);
            drop(queue);
            return self.0.queued.notify_one();
        };
        drop(queue);
        let _ = respond.send(Err(refusal));
    }

    /// Sends and answers until its task is aborted.
    pub(super) async fn serve(self, mut client: Client, member: MemberId) {
        let mut backoff = Backoff::default();
        loop {
            while self.0.queue.lock().is_empty() {
                self.0.queued.notified().await;
            }
            let Err(status) = self.connection(&mut client, &mut backoff).await;
            if status.code() == Code::InvalidArgument {
                tracing::warn!(member = %member, reason = status.message(), "a connection to a storage node is closed");
            }
            self.refuse_queued(true);
            tokio::time::sleep(backoff.next()).await;
            self.0.queue.lock().unreachable = false;
        }
    }

    fn refuse_queued(&self, unreachable: bool) {
        let mut queue = self.0.queue.lock();
        let refused = std::mem::take(&mut *queue);
        queue.unreachable = unreachable;
        drop(queue);
        for (asked, _) in refused.calls {
            asked.respond.send(Err(Error::NoLeader));
        }
        for barrier in refused.barriers {
            let _ = barrier.send(Err(Error::NoLeader));
        }
    }

    /// Serves one connection until it ends; what was in flight is dropped with it.
    async fn connection(&self, client: &mut Client, backoff: &mut Backoff) -> Result<std::convert::Infallible, Status> {
        let (frames, stream) = mpsc::channel(1);
        let request = client.request(ReceiverStream::new(stream));
        let mut answers = client.client.calls(request).await?.into_inner();
        let mut flight = Flight::default();
        loop {
            let has_calls = flight.waiters.len() < MAX_CALLS && !self.0.queue.lock().is_empty();
            tokio::select! {
                frame = answers.message() => {
                    let frame = frame?.ok_or_else(|| Status::unavailable("the node ended the stream"))?;
                    backoff.reset();
                    for answered in frame.answered {
                        let done = flight.joiner.take(answered).map_err(|error| refused(&error))?;
                        if let Some((call, outcome)) = done {
                            flight.answer(call, outcome).map_err(|error| refused(&error))?;
                        }
                    }
                }
                permit = frames.reserve(), if has_calls => {
                    let permit = permit.map_err(|_| Status::unavailable("the connection ended"))?;
                    let frame = flight.next_frame(&mut self.0.queue.lock());
                    permit.send(frame);
                }
                () = self.0.queued.notified() => {}
            }
        }
    }
}

fn refused(error: &Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.barriers.is_empty()
    }
}

/// Calls sent over one connection and not yet answered.
#[derive(Default)]
struct Flight {
    last: u64,
    waiters: HashMap<u64, Waiter>,
    joiner: Joiner,
}

impl Flight {
    /// The calls that go next: what fits, or one.
    fn next_frame(&mut self, queue: &mut Queue) -> CallFrame {
        let mut calls = Vec::with_capacity(queue.calls.len().min(1024) + 1);
        if !queue.barriers.is_empty() {
            let barriers = std::mem::take(&mut queue.barriers);
            calls.push(Call::new(self.number(Waiter::Barriers(barriers)), &Ask::Barrier));
        }
        let mut room = MAX_FRAME_BYTES;
        while let Some((_, bytes)) = queue.calls.front()
            && (*bytes <= room || calls.is_empty())
            && let Some((asked, bytes)) = queue.calls.pop_front()
        {
            room = room.saturating_sub(bytes);
            queue.bytes -= bytes;
            calls.push(Call::new(self.number(Waiter::Answer(asked.respond)), &asked.ask));
        }
        CallFrame { calls }
    }

    fn number(&mut self, waiter: Waiter) -> u64 {
        self.last += 1;
        self.waiters.insert(self.last, waiter);
        self.last
    }

    fn answer(&mut self, call: u64, outcome: Result<Told, Error>) -> Result<(), Malformed> {
        match (self.waiters.remove(&call), outcome) {
            (Some(Waiter::Answer(respond)), Ok(Told::Answer(answer))) => respond.send(Ok(answer)),
            (Some(Waiter::Answer(respond)), Err(error)) => respond.send(Err(error)),
            (Some(Waiter::Barriers(waiting)), Ok(Told::Barrier(barrier))) => all(waiting, Ok(barrier)),
            (Some(Waiter::Barriers(waiting)), Err(error)) => all(waiting, Err(error)),
            (None, _) => return Err(Malformed(format!("an answer to call {call}, which was not asked"))),
            (Some(_), Ok(_)) => return Err(Malformed(format!("an answer to call {call} of another kind"))),
        }
        Ok(())
    }
}

fn all(waiting: Vec<BarrierResponder>, answer: Result<Barrier, Error>) {
    for respond in waiting {
        let _ = respond.send(answer);
    }
}

/// What a call without keys and values takes.
const CALL_BYTES: usize = 96;

fn weight(ask: &Ask) -> usize {
    match ask {
        Ask::Write(command) => command.weight(),
        Ask::Query(..) | Ask::Barrier => CALL_BYTES,
    }
}
