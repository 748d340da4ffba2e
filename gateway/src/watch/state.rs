//! The hub's decisions: feeds, streams that wait for the node's `Now`, and pages. No task, no clock.
//!
//! ```text
//!  stream asks ──► waiting ──Now(n)──► asked ──batch answers n──► requests are applied
//!  stream reads ─► queued ──Read(p)──► reading ──page p───────► stream
//! ```
//!
//! Invariant: a request is applied at a `Now` that was asked for after the request had come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use internal_proto::{NowId, PageId, Revision, WatchBatch, WatchCommand, WatchPage};

use super::apply::Now;
use super::feeds::Feeds;
use super::stream::{ReadRequest, Stream};

/// Pages of history asked for at a time: enough to keep a node's reading thread busy, at half a megabyte each.
const MAX_READING: usize = 64;

/// Everything the hub knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) feeds: Feeds,
    /// Streams whose requests came after the last `Now` was asked for.
    waiting: Vec<Arc<Stream>>,
    /// The `Now` under way, and the streams that it is for.
    asked: Option<(NowId, Vec<Arc<Stream>>)>,
    last_now: NowId,
    /// Reads under way, to be repeated over a new link, and those that wait for room.
    reading: BTreeMap<PageId, (Arc<Stream>, ReadRequest)>,
    queued: VecDeque<(Arc<Stream>, ReadRequest)>,
    next_page: u64,
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
            self.feeds.outbox.push_back(WatchCommand::Now(self.last_now));
        }
    }

    /// A stream needs a page of history.
    pub(super) fn read(&mut self, stream: &Arc<Stream>, request: ReadRequest) {
        self.queued.push_back((Arc::clone(stream), request));
        self.send_reads();
    }

    fn send_reads(&mut self) {
        while self.reading.len() < MAX_READING
            && let Some((stream, request)) = self.queued.pop_front()
        {
            let page = PageId(self.next_page);
            self.next_page += 1;
            self.feeds.outbox.push_back(read_command(page, &request));
            self.reading.insert(page, (stream, request));
        }
    }

    /// A new link: everything that is under way is asked for again.
    pub(super) fn resume(&mut self) {
        self.feeds.resume();
        for (page, (_, request)) in &self.reading {
            self.feeds.outbox.push_back(read_command(*page, request));
        }
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
        publish_through(self.feeds.through());
        for WatchPage { page, content } in batch.pages.drain(..) {
            if let Some((stream, request)) = self.reading.remove(&page) {
                stream.receive_page(request.serial, content, batch.stamp.revision);
            }
        }
        self.send_reads();
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
        self.queued.retain(|(other, _)| !Arc::ptr_eq(other, stream));
    }
}

fn read_command(page: PageId, request: &ReadRequest) -> WatchCommand {
    let key = request.key.clone();
    WatchCommand::Read { page, range: key.range, prev_kv: key.prev_kv, next: request.next }
}
