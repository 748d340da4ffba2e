//! One stream of calls from a gateway, and their answers.
//!
//! ```text
//!  frame ─► pending ──room──► writes ──────► store, all of a frame at once ──┐
//!                        ├──► short reads ─► answered in place ──────────────┤
//!                        ├──► long reads ──► a task each, a few at a time ───┼─► outbox ─► frame
//!                        └──► barriers ────► store ──────────────────────────┘
//! ```
//!
//! Invariants: answers leave in the order in which they are there, each with its call's number; a gateway that does not
//! read its answers is not read from either, so what it can make this node hold is bounded.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use internal_proto::wire::{AnswerFrame, Ask, Call, CallFrame, Malformed, Told};
use internal_proto::{Answer, Error, Freshness, Reply, Request, Responder, Store, Write};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::outbox::Outbox;

/// Calls of one stream that are taken and not yet answered: as many as a node queues at all.
const MAX_IN_FLIGHT: usize = 100_000;
/// Bytes of answers that may wait for the connection: some half a second of a fast one.
const MAX_UNSENT_BYTES: usize = 64 << 20;
/// Long reads of one stream at a time: each holds its whole answer, and keeps a core busy.
const MAX_LONG_READS: usize = 16;

/// A reply that is not there yet.
type Waiting = Pin<Box<dyn Future<Output = (u64, Result<Told, Error>)> + Send>>;
/// Where answers of writes and long reads arrive.
type Answers =
    (mpsc::UnboundedSender<(u64, Result<Answer, Error>)>, mpsc::UnboundedReceiver<(u64, Result<Answer, Error>)>);

/// One stream of calls.
pub(super) struct Calls {
    store: Arc<dyn Store>,
    /// Of the last frame, what has found no room yet.
    pending: VecDeque<Call>,
    waiting: FuturesUnordered<Waiting>,
    long_reads: FuturesUnordered<Waiting>,
    answers: Answers,
    outbox: Outbox,
    /// Calls taken whose answers have not left.
    in_flight: usize,
}

impl Calls {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            pending: VecDeque::new(),
            waiting: FuturesUnordered::new(),
            long_reads: FuturesUnordered::new(),
            answers: mpsc::unbounded_channel(),
            outbox: Outbox::default(),
            in_flight: 0,
        }
    }

    /// Serves until either direction of the stream ends.
    pub(super) async fn serve(
        mut self,
        mut stream: Streaming<CallFrame>,
        frames: mpsc::Sender<Result<AnswerFrame, Status>>,
    ) {
        loop {
            if let Err(malformed) = self.start_pending() {
                tracing::warn!(%malformed, "a gateway's stream of calls is closed");
                let _ = frames.send(Err(Status::invalid_argument(malformed.to_string()))).await;
                return;
            }
            tokio::select! {
                frame = stream.message(), if self.pending.is_empty() && self.has_room() => match frame {
                    Ok(Some(frame)) => self.pending.extend(frame.calls),
                    Ok(None) => return,
                    Err(status) => return tracing::debug!(%status, "a gateway's stream of calls ended"),
                },
                Some((call, answer)) = self.answers.1.recv() => {
                    self.outbox.push(call, &answer.map(Told::Answer));
                    while let Ok((call, answer)) = self.answers.1.try_recv() {
                        self.outbox.push(call, &answer.map(Told::Answer));
                    }
                }
                Some((call, outcome)) = self.waiting.next() => self.outbox.push(call, &outcome),
                Some((call, outcome)) = self.long_reads.next() => self.outbox.push(call, &outcome),
                permit = frames.reserve(), if !self.outbox.is_empty() => {
                    let Ok(permit) = permit else { return };
                    let (frame, completed) = self.outbox.next_frame();
                    self.in_flight -= completed;
                    permit.send(Ok(frame));
                }
                () = frames.closed() => return,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight < MAX_IN_FLIGHT && self.outbox.bytes() < MAX_UNSENT_BYTES
    }

    /// Starts what has come, as far as there is room.
    fn start_pending(&mut self) -> Result<(), Malformed> {
        let mut writes = Vec::new();
        let mut started = Ok(());
        while started.is_ok()
            && self.has_room()
            && self.long_reads.len() < MAX_LONG_READS
            && let Some(call) = self.pending.pop_front()
        {
            started = call.ask().map(|(number, ask)| self.start(number, ask, &mut writes));
        }
        if !writes.is_empty() {
            self.store.submit(writes);
        }
        started
    }

    fn start(&mut self, number: u64, ask: Ask, writes: &mut Vec<Write>) {
        self.in_flight += 1;
        match ask {
            Ask::Write(command) => {
                writes.push(Write { command, respond: Responder::numbered(number, self.answers.0.clone()) });
            }
            Ask::Query(request, freshness) if needs_a_task(&request) => self.read_long(number, request, freshness),
            Ask::Query(request, freshness) => {
                let reply = self.store.query(request, freshness);
                self.wait(number, reply, Told::Answer);
            }
            Ask::Barrier => {
                let reply = self.store.barrier();
                self.wait(number, reply, Told::Barrier);
            }
        }
    }

    fn wait<T: Send + Unpin + 'static>(&mut self, number: u64, reply: Reply<Result<T, Error>>, told: fn(T) -> Told) {
        match reply {
            Reply::Ready(outcome) => {
                self.outbox.push(number, &outcome.unwrap_or(Err(Error::Stopped)).map(told));
            }
            Reply::Later(outcome) => self.waiting.push(Box::pin(async move { (number, outcome.await.map(told)) })),
        }
    }

    /// On a task of its own: it may take a while, and the stream has others to serve.
    fn read_long(&self, number: u64, request: Request, freshness: Freshness) {
        let store = Arc::clone(&self.store);
        let read = tokio::spawn(async move { store.query(request, freshness).await });
        self.long_reads.push(Box::pin(async move {
            let outcome = read.await.unwrap_or(Err(Error::Stopped));
            (number, outcome.map(Told::Answer))
        }));
    }
}

/// Whether the answer can be long, or long in coming.
fn needs_a_task(request: &Request) -> bool {
    match request {
        Request::Range(range) => !range.range.is_single(),
        Request::LeaseTimeToLive(request) => request.keys,
        Request::Txn(_) | Request::LeaseLeases => true,
        _ => false,
    }
}
