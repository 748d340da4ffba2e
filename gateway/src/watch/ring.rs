//! The recent events of one feed, and the bound on the recent events of all feeds together.
//!
//! ```text
//!          floor                     newest
//!            ▼                          ▼
//!   evicted  │ 7: [..] 9: [..] 10: [..] │        a watch is a cursor: the next revision it wants;
//!            └──────────▲───────────────┘        below `floor` it reads history from a node instead
//!                     next
//! ```
//!
//! Invariant: every event of the feed at or above `floor` that has arrived is in the ring.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{FeedId, Revision};

use super::source::Source;

/// Events kept in memory for all feeds together: what clients fall behind by in some seconds is served from here.
const MAX_BYTES: usize = 64 << 20;
/// What an entry weighs besides its events.
const ENTRY_BYTES: usize = 128;

/// The recent events of one feed.
#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Entry>,
    floor: Revision,
    /// What fills the ring.
    source: Arc<Source>,
}

/// One revision's events of one feed.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) revision: Revision,
    pub(super) events: Bytes,
}

impl Ring {
    /// An empty ring that will hold everything from a revision on.
    pub(super) const fn new(floor: Revision, source: Arc<Source>) -> Self {
        Self { entries: VecDeque::new(), floor, source }
    }

    /// A ring whose source cannot say what happened up to now, and from where on it can.
    pub(super) const fn forgotten(source: Arc<Source>) -> Self {
        Self::new(Revision(i64::MAX), source)
    }

    /// The node has sent everything up to `through`; until then watches of the feed are not synced.
    pub(super) fn is_live(&self) -> bool {
        self.source.is_live()
    }

    /// Whether it is live; if not, the feed hears of it.
    pub(super) fn is_live_for(&self, feed: FeedId) -> bool {
        self.source.is_live_for(feed)
    }

    pub(super) fn is_filled_by(&self, source: &Arc<Source>) -> bool {
        Arc::ptr_eq(&self.source, source)
    }

    /// From now on another source fills the ring, and begins where this one ends.
    pub(super) fn hand_over(&mut self, source: Arc<Source>) {
        self.source = source;
    }

    pub(super) const fn floor(&self) -> Revision {
        self.floor
    }

    /// The latest revision that had events.
    pub(super) fn newest(&self) -> Option<Revision> {
        self.entries.back().map(|entry| entry.revision)
    }

    /// The entries from a revision on. Complete only from `floor` on.
    pub(super) fn since(&self, next: Revision) -> impl Iterator<Item = &Entry> {
        let first = match self.newest() {
            Some(newest) if newest >= next => self.entries.partition_point(|entry| entry.revision < next),
            _ => self.entries.len(),
        };
        self.entries.range(first..)
    }

    /// Drops the oldest entry.
    pub(super) fn evict(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.floor = self.floor.max(oldest.revision.next());
        }
    }

    /// Forgets everything: the node cannot say what happened up to now.
    pub(super) fn forget(&mut self) {
        *self = Self::forgotten(Arc::clone(&self.source));
    }

    /// Starts again where the node does, after `forget`.
    pub(super) fn start(&mut self, first: Revision) {
        self.floor = self.floor.min(first);
    }
}

/// What all rings hold, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Budget {
    arrivals: VecDeque<(FeedId, usize)>,
    bytes: usize,
}

impl Budget {
    /// Adds an entry to a feed's ring, and says which feeds must each evict one entry for it. `shared`: an entry
    /// of the same revision has the same events, in the same allocation.
    pub(super) fn push(&mut self, feed: FeedId, ring: &mut Ring, entry: Entry, shared: bool) -> Vec<FeedId> {
        let bytes = ENTRY_BYTES + if shared { 0 } else { entry.events.len() };
        ring.entries.push_back(entry);
        self.arrivals.push_back((feed, bytes));
        self.bytes += bytes;
        let mut evict = Vec::new();
        // The newest entry stays, whatever it weighs: one whole revision is always admitted.
        while self.bytes > MAX_BYTES
            && self.arrivals.len() > 1
            && let Some((feed, bytes)) = self.arrivals.pop_front()
        {
            self.bytes -= bytes;
            evict.push(feed);
        }
        evict
    }
}
