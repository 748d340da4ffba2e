//! One client stream: its watches, what it is owed, and what it sends next. No task, no clock.
//!
//! ```text
//!  requests ──(the node's Now)──► apply ──► controls ─────────────┐
//!  feeds ──mark──► dirty slots ──► a watch's next events ─────────┼──► poll ──► client
//!  history ──────► page ─────────► a lagging watch's next events ─┘
//! ```
//!
//! Invariants: nothing is gathered for a client that does not read, except answers to its own requests; `Created`
//! leaves before the watch's events, nothing after `Canceled`; progress leaves when everything it covers has left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::task::AtomicWaker;
use internal_proto::{FeedId, Revision};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::cursor::{Pull, Watch};
use super::exchange::{Output, StreamRequest};
use super::feeds::Feed;
use super::reads::{Page, ReadRequest};

/// Requests and answers that a stream holds before it reads no further request: several bursts of ten thousand.
const MAX_BACKLOG: usize = 65_536;

/// Room for so many answers stays with a stream that has none: a burst of creations must not be paid for ever after.
const IDLE_BACKLOG: usize = 16;

/// A stream, shared between its connection and the hub.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) state: Mutex<StreamState>,
    pub(super) waker: AtomicWaker,
    /// Told when the backlog shrinks below its bound.
    pub(super) drained: Notify,
}

#[derive(Debug, Default)]
pub(super) struct StreamState {
    /// Requests that came after the last `Now` was asked for.
    pub(super) requests: VecDeque<StreamRequest>,
    /// Requests that the answer to the present question covers.
    pub(super) covered: VecDeque<StreamRequest>,
    /// The hub knows of `requests`.
    pub(super) asked: bool,
    /// No further output; `Some` once the connection is gone or its requests failed.
    pub(super) ended: bool,
    pub(super) controls: VecDeque<Output>,
    pub(super) slots: BTreeMap<FeedId, Slot>,
    /// Where each watch is; `None`: it was compacted, but the client has not canceled it, and its id stays taken.
    pub(super) ids: BTreeMap<i64, Option<FeedId>>,
    pub(super) next_id: i64,
    dirty: VecDeque<FeedId>,
    /// Watches that need a page, by id.
    lagging: VecDeque<i64>,
    page: Reading,
    page_serial: u64,
    /// The highest revision in any events sent.
    sent: Revision,
    /// Progress answers that wait until what they cover has left.
    pub(super) owed: usize,
    /// Feeds that the stream no longer needs, for the hub to detach.
    pub(super) released: Vec<FeedId>,
}

/// The watches of a stream on one feed.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) feed: Arc<Feed>,
    /// By id.
    pub(super) watches: Vec<Watch>,
    /// In the queue of dirty slots.
    dirty: bool,
    /// The next watch to look at.
    cursor: usize,
    /// A watch of this pass got something, so another pass is due.
    served: bool,
}

/// Whether a page of history is under way: one per stream at a time.
#[derive(Debug, Default)]
enum Reading {
    #[default]
    None,
    Asked {
        watch_id: i64,
    },
    Arrived {
        watch_id: i64,
        content: Result<Arc<Page>, Revision>,
    },
}

/// What a stream does next.
#[derive(Debug)]
pub(super) enum Step {
    Output(Output),
    Read(ReadRequest),
    Idle,
    Ended,
}

impl Stream {
    /// Notes that a feed has news.
    pub(super) fn mark(&self, feed: FeedId) {
        if self.state.lock().mark(feed) {
            self.waker.wake();
        }
    }

    /// Takes in a page that was asked for.
    pub(super) fn receive_page(&self, serial: u64, content: Result<Arc<Page>, Revision>) {
        self.state.lock().receive_page(serial, content);
        self.waker.wake();
    }
}

impl Slot {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        // Most ranges have one watch on a stream.
        Self { feed, watches: Vec::with_capacity(1), dirty: false, cursor: 0, served: false }
    }

    pub(super) fn insert(&mut self, watch: Watch) {
        let position = self.watches.partition_point(|other| other.id < watch.id);
        self.watches.insert(position, watch);
        self.cursor += usize::from(position < self.cursor);
    }

    pub(super) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    fn watch(&mut self, id: i64) -> Option<&mut Watch> {
        let position = self.watches.binary_search_by_key(&id, |watch| watch.id).ok()?;
        self.watches.get_mut(position)
    }

    fn remove(&mut self, id: i64) {
        if let Ok(position) = self.watches.binary_search_by_key(&id, |watch| watch.id) {
            self.watches.remove(position);
            self.cursor -= usize::from(position < self.cursor);
        }
    }
}

impl StreamState {
    pub(super) fn is_full(&self) -> bool {
        self.requests.len() + self.covered.len() + self.controls.len() >= MAX_BACKLOG
    }

    /// Whether requests need not wait: there is room, or nobody minds them any more.
    pub(super) fn takes_requests(&self) -> bool {
        self.ended || !self.is_full()
    }

    /// Whether this is news to the stream.
    pub(super) fn mark(&mut self, feed: FeedId) -> bool {
        match self.slots.get_mut(&feed) {
            Some(slot) if !slot.dirty => {
                slot.dirty = true;
                self.dirty.push_back(feed);
                true
            }
            _ => false,
        }
    }

    /// Takes a watch off its slot; the feed's id if that was the slot's last watch.
    pub(super) fn remove_watch(&mut self, feed: FeedId, id: i64) -> Option<FeedId> {
        if matches!(self.page, Reading::Asked { watch_id } | Reading::Arrived { watch_id, .. } if watch_id == id) {
            self.page = Reading::None;
        }
        let slot = self.slots.get_mut(&feed)?;
        slot.remove(id);
        if !slot.watches.is_empty() {
            return None;
        }
        self.slots.remove(&feed);
        Some(feed)
    }

    /// Whether nothing that happened waits to be sent.
    pub(super) fn is_drained(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Whether every watch has everything up to `now`, or is about to.
    pub(super) fn is_synced(&self, now: Revision) -> bool {
        self.ids.values().all(Option::is_some)
            && self.slots.values().all(|slot| {
                let ring = slot.feed.ring.lock();
                slot.watches.iter().all(|watch| watch.is_synced(&ring, now))
            })
    }

    fn receive_page(&mut self, serial: u64, content: Result<Arc<Page>, Revision>) {
        let Reading::Asked { watch_id } = self.page else { return };
        if serial == self.page_serial {
            self.page = Reading::Arrived { watch_id, content };
        }
    }

    /// What to do next. `through`: all live feeds are complete up to there; it was read before the lock was taken.
    pub(super) fn poll(&mut self, through: Revision) -> Step {
        if self.ended {
            return Step::Ended;
        }
        if let Some(control) = self.controls.pop_front() {
            if self.controls.is_empty() {
                self.controls.shrink_to(IDLE_BACKLOG);
            }
            return Step::Output(control);
        }
        if let Some(output) = self.poll_page() {
            return Step::Output(output);
        }
        while let Some(feed) = self.dirty.front().copied() {
            if let Some(output) = self.poll_slot(feed, through) {
                return Step::Output(output);
            }
        }
        self.dirty.shrink_to(IDLE_BACKLOG);
        self.next_read().or_else(|| self.owed_progress(through).map(Step::Output)).unwrap_or(Step::Idle)
    }

    /// The next output of a dirty slot; without one, its pass is over.
    fn poll_slot(&mut self, feed: FeedId, through: Revision) -> Option<Output> {
        let Some(slot) = self.slots.get_mut(&feed) else {
            self.dirty.pop_front();
            return None;
        };
        while let Some(watch) = slot.watches.get_mut(slot.cursor) {
            slot.cursor += 1;
            match watch.pull(&slot.feed, through) {
                Pull::Nothing => {}
                Pull::Filtered => slot.served = true,
                Pull::Behind if watch.queued => {}
                Pull::Behind => {
                    watch.queued = true;
                    self.lagging.push_back(watch.id);
                }
                Pull::Events(revision, events) => {
                    slot.served = true;
                    self.sent = self.sent.max(revision);
                    return Some(Output::Events { watch_id: watch.id, revision, events, fragment: watch.fragment });
                }
            }
        }
        // Watches take turns, and so do feeds: one response each.
        slot.cursor = 0;
        self.dirty.pop_front();
        slot.dirty = slot.served;
        if std::mem::take(&mut slot.served) {
            self.dirty.push_back(feed);
        }
        None
    }

    fn poll_page(&mut self) -> Option<Output> {
        let Reading::Arrived { watch_id, content } = &self.page else { return None };
        let id = *watch_id;
        let feed = self.ids.get(&id).copied().flatten()?;
        let page = match content {
            Ok(page) => page,
            Err(compacted) => {
                let compacted = *compacted;
                return Some(self.compact(feed, id, compacted));
            }
        };
        let watch = self.slots.get_mut(&feed)?.watch(id)?;
        let pulled = watch.pull_page(page);
        let fragment = watch.fragment;
        if page.since(watch.next).is_empty() {
            watch.queued = false;
            self.page = Reading::None;
            // What comes next is in the ring, or needs another page.
            self.mark(feed);
        }
        match pulled {
            Pull::Events(revision, events) => {
                self.sent = self.sent.max(revision);
                Some(Output::Events { watch_id: id, revision, events, fragment })
            }
            _ if matches!(self.page, Reading::Arrived { .. }) => self.poll_page(),
            _ => None,
        }
    }

    /// Ends a watch whose next event is compacted.
    fn compact(&mut self, feed: FeedId, id: i64, compacted: Revision) -> Output {
        self.ids.insert(id, None);
        let released = self.remove_watch(feed, id);
        self.released.extend(released);
        Output::Compacted { watch_id: id, compacted }
    }

    /// The page that the next lagging watch needs.
    fn next_read(&mut self) -> Option<Step> {
        if !matches!(self.page, Reading::None) {
            return None;
        }
        while let Some(id) = self.lagging.pop_front() {
            let feed = self.ids.get(&id).copied().flatten();
            let Some(slot) = feed.and_then(|feed| self.slots.get_mut(&feed)) else { continue };
            let key = slot.feed.key.clone();
            let Some(watch) = slot.watch(id).filter(|watch| watch.queued) else { continue };
            self.page_serial += 1;
            self.page = Reading::Asked { watch_id: id };
            return Some(Step::Read(ReadRequest { serial: self.page_serial, key, next: watch.next }));
        }
        None
    }

    /// Progress that is owed, now that everything has left. A stream that lags again is told nothing.
    fn owed_progress(&mut self, through: Revision) -> Option<Output> {
        if self.owed == 0 || through < self.sent {
            return None;
        }
        if self.ids.is_empty() || !self.is_synced(through) {
            self.owed = 0;
            return None;
        }
        self.owed -= 1;
        Some(Output::Progress { watch_id: None, revision: through })
    }
}
