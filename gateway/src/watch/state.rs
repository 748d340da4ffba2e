//! The hub's decisions: feeds, streams that wait for the node's `Now`, and pages. No task, no clock.
//!
//! ```text
//!  stream asks ──► waiting ──Now(n)──► asked ──batch answers n──► requests are applied
//!  stream reads ─► reads (see there)
//! ```
//!
//! Invariant: a request is applied at a `Now` that was asked for after the request had come.

use std::collections::VecDeque;
use std::sync::Arc;

use internal_proto::{NowId, Revision, WatchBatch, WatchCommand};

use super::apply::Now;
use super::feeds::Feeds;
use super::reads::{ReadRequest, Reads};
use super::stream::Stream;

/// Everything the hub knows.
pub(super) struct State {
    pub(super) feeds: Feeds,
    /// Streams whose requests came after the last `Now` was asked for.
    waiting: Vec<Arc<Stream>>,
    /// The `Now` under way, and the streams that it is for.
    asked: Option<(NowId, Vec<Arc<Stream>>)>,
    last_now: NowId,
    reads: Reads,
    /// Streams that owe progress as soon as everything it covers has left.
    owing: Vec<Arc<Stream>>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Done,
    /// The node has not reached what this gateway has shown: ask again a little later.
    Stale,
}

impl State {
    /// A hub without watches. `max_own`: how many ranges may have a subscription of their own.
    pub(super) fn new(max_own: usize) -> Self {
        Self {
            feeds: Feeds::new(max_own),
            waiting: Vec::new(),
            asked: None,
            last_now: NowId::default(),
            reads: Reads::default(),
            owing: Vec::new(),
        }
    }

    /// What is to be told to the node, in order.
    pub(super) const fn outbox(&mut self) -> &mut VecDeque<WatchCommand> {
        &mut self.feeds.subscriptions.outbox
    }

    /// A stream has requests.
    pub(super) fn ask(&mut self, stream: &Arc<Stream>) {
        self.waiting.push(Arc::clone(stream));
        if self.asked.is_none() {
            self.ask_now();
        }
    }

    fn ask_now(&mut self) {
        for stream in &self.waiting {
            let mut state = stream.state.lock();
            // What comes from here on is for the next question.
            state.asked = false;
            let requests = std::mem::take(&mut state.requests);
            state.covered.extend(requests);
        }
        self.asked = Some((self.last_now, std::mem::take(&mut self.waiting)));
        self.repeat_now();
    }

    /// Asks again for the streams that wait already.
    pub(super) fn repeat_now(&mut self) {
        if let Some((now, _)) = &mut self.asked {
            self.last_now = NowId(self.last_now.0 + 1);
            *now = self.last_now;
            let now = WatchCommand::Now(self.last_now);
            self.outbox().push_back(now);
        }
    }

    /// A stream needs a page of history.
    pub(super) fn read(&mut self, stream: &Arc<Stream>, request: ReadRequest) {
        self.reads.ask(stream, request, &mut self.feeds.subscriptions.outbox);
    }

    /// A new link: everything that is under way is asked for again.
    pub(super) fn resume(&mut self) {
        self.feeds.subscriptions.resume();
        self.reads.resume(&mut self.feeds.subscriptions.outbox);
        self.repeat_now();
    }

    /// Takes in a batch. `publish_through` is called between what the batch adds and what may rely on it being
    /// complete; streams answer nothing at a revision below `floor`.
    pub(super) fn receive(
        &mut self,
        mut batch: WatchBatch,
        floor: Revision,
        publish_through: impl FnOnce(Revision),
    ) -> Received {
        self.feeds.receive(&mut batch);
        publish_through(self.feeds.subscriptions.through());
        for page in batch.pages.drain(..) {
            self.reads.receive(page, batch.stamp.revision, &mut self.feeds.subscriptions.outbox);
        }
        let received = self.receive_now(&batch, floor);
        self.owing.retain(|stream| {
            stream.waker.wake();
            stream.state.lock().owed > 0
        });
        received
    }

    fn receive_now(&mut self, batch: &WatchBatch, floor: Revision) -> Received {
        let answered = matches!(&self.asked, Some((now, _)) if batch.now.is_some_and(|answer| answer >= *now));
        if !answered {
            return Received::Done;
        }
        if batch.stamp.revision < floor {
            return Received::Stale;
        }
        let now = Now { revision: batch.stamp.revision, compacted: batch.compacted_to };
        let (_, streams) = self.asked.take().expect("it was matched above");
        for stream in streams {
            self.apply(&stream, now);
        }
        if !self.waiting.is_empty() {
            self.ask_now();
        }
        Received::Done
    }

    fn apply(&mut self, stream: &Arc<Stream>, now: Now) {
        let mut state = stream.state.lock();
        if state.ended {
            return;
        }
        for request in std::mem::take(&mut state.covered) {
            state.apply(request, now, &mut self.feeds, stream);
        }
        if state.owed > 0 {
            self.owing.push(Arc::clone(stream));
        }
        drop(state);
        stream.waker.wake();
    }

    /// A stream's connection is gone.
    pub(super) fn close(&mut self, stream: &Arc<Stream>) {
        let slots = {
            let mut state = stream.state.lock();
            state.ended = true;
            state.requests.clear();
            state.covered.clear();
            state.ids.clear();
            let released = std::mem::take(&mut state.released);
            released.into_iter().chain(std::mem::take(&mut state.slots).into_keys()).collect::<Vec<_>>()
        };
        for feed in slots {
            self.feeds.detach(feed, stream);
        }
        self.reads.forget(stream);
    }
}
