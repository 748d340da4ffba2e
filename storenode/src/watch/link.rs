//! What one gateway is owed: its watchers, and the batch that is growing for it.
//!
//! ```text
//!              CaughtUp ◄───────────────────────┐     publish appends to the batch while it has room
//!   no room in the │                            │ what was read reaches into the recent revisions
//!   batch          ▼      a read begins         │
//!              Behind{next} ──────────────► Reading ──► Behind{next} again, if it did not
//! ```
//!
//! Invariants: a revision enters the batch whole or not at all; a watcher that is not caught up holds no events, only
//! its next revision; everything for a watcher goes through the one batch, so its order is the order of revisions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use internal_proto::{
    Event, Fault, FeedEvents, FeedId, KeyRange, NowId, PageContent, PageId, Revision, WatchBatch, WatchPage,
};
use tokio::sync::Notify;

use super::recent::event_bytes;
use crate::state::Changes;

/// Bytes that may wait for one gateway before its watchers fall behind: some 50 ms of the link at 100 MB/s.
pub(super) const MAX_PENDING_BYTES: usize = 4 << 20;

/// One gateway's share of the hub.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) watchers: BTreeMap<FeedId, Watcher>,
    /// Watchers that are not caught up.
    pub(super) lagging: BTreeSet<FeedId>,
    /// Pages that wait for a read.
    pub(super) pages: VecDeque<Page>,
    /// What the next batch will hold.
    batch: WatchBatch,
    bytes: usize,
    /// The last revision offered, and whether the batch had room for it.
    admitted: (Revision, bool),
    /// The batch holds something to send at once.
    pub(super) urgent: bool,
    /// The revision moved since the last batch.
    pub(super) moved: bool,
    /// Wakes the link's task.
    pub(super) wake: Arc<Notify>,
}

/// One feed, as the node serves it.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) range: KeyRange,
    pub(super) prev_kv: bool,
    /// The first revision that is still to be put into a batch.
    pub(super) next: Revision,
    pub(super) state: State,
    /// Where in the batch the watcher's latest revision is, if the batch still is the same.
    slot: usize,
}

/// Whether a watcher follows the hub or the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    CaughtUp,
    Behind,
    Reading,
}

/// A page of history to read for a gateway.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) page: PageId,
    pub(super) range: KeyRange,
    pub(super) prev_kv: bool,
    pub(super) next: Revision,
}

impl Watcher {
    pub(super) const fn new(range: KeyRange, prev_kv: bool, next: Revision) -> Self {
        Self { range, prev_kv, next, state: State::CaughtUp, slot: 0 }
    }
}

impl Link {
    /// Offers an event that just happened. `weighed`: another watcher of this link took the same event already.
    pub(super) fn offer(&mut self, feed: FeedId, revision: Revision, event: &Event, weighed: bool) {
        let room = self.admits(revision);
        let Some(watcher) = self.watchers.get_mut(&feed) else { return };
        if watcher.state != State::CaughtUp || revision < watcher.next {
            return;
        }
        if !room {
            return self.fall_behind(feed, revision);
        }
        self.append(feed, revision, event, weighed);
    }

    /// From now on the watcher follows the history, from `next` or from where it is if that is later.
    pub(super) fn fall_behind(&mut self, feed: FeedId, next: Revision) {
        if let Some(watcher) = self.watchers.get_mut(&feed) {
            watcher.state = State::Behind;
            watcher.next = watcher.next.max(next);
            self.lagging.insert(feed);
        }
    }

    /// Everything from `missed` through `current` is in the history alone.
    pub(super) fn leap(&mut self, missed: Revision, current: Revision) {
        let caught_up = |watcher: &Watcher| watcher.state == State::CaughtUp && watcher.next <= current;
        let feeds: Vec<FeedId> =
            self.watchers.iter().filter(|(_, watcher)| caught_up(watcher)).map(|(feed, _)| *feed).collect();
        for feed in feeds {
            self.fall_behind(feed, missed);
        }
        self.urgent = true;
        self.moved = true;
        self.wake.notify_one();
    }

    /// Offers recent revisions to a watcher that joins, beyond the bound if need be.
    pub(super) fn join<'a>(&mut self, feed: FeedId, recent: impl Iterator<Item = &'a Changes>, current: Revision) {
        for changes in recent {
            for event in &changes.events {
                if self.watchers.get(&feed).is_some_and(|watcher| watcher.range.contains(event.kv.key())) {
                    self.append(feed, changes.revision, event, false);
                }
            }
        }
        self.lagging.remove(&feed);
        if let Some(watcher) = self.watchers.get_mut(&feed) {
            watcher.state = State::CaughtUp;
            watcher.next = watcher.next.max(current.next());
        }
        self.urgent = true;
    }

    /// Appends an event of a watcher that is known to want it.
    pub(super) fn append(&mut self, feed: FeedId, revision: Revision, event: &Event, weighed: bool) {
        let Some(watcher) = self.watchers.get_mut(&feed) else { return };
        let event = for_watcher(event, watcher.prev_kv);
        self.bytes += if weighed { size_of::<FeedEvents>() } else { event_bytes(&event) };
        match self.batch.events.get_mut(watcher.slot) {
            Some(open) if open.feed == feed && open.revision == revision && !Fault::SplitRevision.is_planted() => {
                open.events.push(event);
            }
            _ => {
                watcher.slot = self.batch.events.len();
                self.batch.events.push(FeedEvents { feed, revision, events: vec![event], last: true });
            }
        }
        self.urgent = true;
    }

    /// Whether the batch has room. Asked once per revision, so that a revision is never cut.
    fn admits(&mut self, revision: Revision) -> bool {
        if self.admitted.0 != revision {
            self.admitted = (revision, self.has_room());
        }
        self.admitted.1
    }

    /// Whether the batch may grow.
    pub(super) const fn has_room(&self) -> bool {
        self.bytes < MAX_PENDING_BYTES
    }

    pub(super) fn started(&mut self, feed: FeedId, first: Revision) {
        self.batch.started.push((feed, first));
        self.urgent = true;
    }

    pub(super) fn compacted(&mut self, feed: FeedId, compacted: Revision) {
        self.batch.compacted.push((feed, compacted));
        self.urgent = true;
    }

    pub(super) fn answer(&mut self, now: NowId) {
        self.batch.now = Some(now);
        self.urgent = true;
    }

    pub(super) fn page(&mut self, page: PageId, content: PageContent) {
        if let PageContent::Events { revisions, .. } = &content {
            self.bytes += revisions.iter().flat_map(|(_, events)| events).map(event_bytes).sum::<usize>();
        }
        self.batch.pages.push(WatchPage { page, content });
        self.urgent = true;
    }

    /// The batch as it is now; what comes next goes into a new one.
    pub(super) fn take(&mut self) -> WatchBatch {
        self.bytes = 0;
        self.urgent = false;
        self.moved = false;
        let mut batch = mem::take(&mut self.batch);
        let lagging = self.lagging.iter().filter_map(|feed| Some((*feed, self.watchers.get(feed)?)));
        batch.behind = lagging.map(|(feed, watcher)| (feed, Revision(watcher.next.0 - 1))).collect();
        batch
    }
}

/// An event as a watcher wants it.
pub(super) fn for_watcher(event: &Event, prev_kv: bool) -> Event {
    let prev_kv = if prev_kv { event.prev_kv.clone() } else { None };
    Event { kind: event.kind, kv: event.kv.clone(), prev_kv }
}
