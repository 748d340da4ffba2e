//! One watch of a client: a cursor in a feed.
//!
//! ```text
//!  Created ──► catching up ──► synced          catching up: many revisions a response, at the store's revision
//!                  ▲              │            synced: one revision a response, at its own revision
//!                  └── too slow ──┘
//! ```
//!
//! Invariant: every event of the feed from the start on leaves once, in order: `next` is all there is to remember.

use bytes::{Bytes, BytesMut};
use internal_proto::{Event, EventKind, FeedId, Revision};

use super::events::{self, Filter};
use super::feeds::Feed;
use super::reads::Page;
use super::ring::Ring;

/// Revisions that a response to a watch that catches up holds at most, as in etcd.
const MAX_CATCH_UP_REVISIONS: usize = 1000;
/// Bytes of events after which such a response holds no further revision: below what gRPC clients take by default.
const MAX_CATCH_UP_BYTES: usize = 1 << 20;

/// What a client asks to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// The client's number for the watch; 0 lets the stream choose.
    pub watch_id: i64,
    /// The keys.
    pub range: internal_proto::KeyRange,
    /// The first revision to send; `None` for what happens after the creation.
    pub start: Option<Revision>,
    /// Send the version before each change too.
    pub prev_kv: bool,
    /// Tell of progress while nothing happens.
    pub progress_notify: bool,
    /// Cut responses that are too large for one message.
    pub fragment: bool,
    /// The kinds of events to send.
    pub filter: Filter,
}

/// A watch on a stream.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) id: i64,
    /// As the client gave it; 0 for now.
    pub(super) start: Revision,
    /// The first revision still to be sent.
    pub(super) next: Revision,
    pub(super) filter: Filter,
    pub(super) fragment: bool,
    pub(super) progress_notify: bool,
    /// Nothing was sent since the last progress notification.
    pub(super) idle: bool,
    pub(super) catching_up: bool,
    /// Waits among the stream's watches that need a page of history.
    pub(super) queued: bool,
}

/// What a watch finds when it looks for its next events.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pull {
    /// Nothing yet.
    Nothing,
    /// The ring no longer has it.
    Behind,
    /// Events at or above `next`, all of them filtered out.
    Filtered,
    /// Events to send, under a header with this revision.
    Events(Revision, Bytes),
}

impl Watch {
    /// A watch created at revision `now`.
    pub(super) fn new(id: i64, create: &Create, now: Revision) -> Self {
        let Create { filter, fragment, progress_notify, .. } = *create;
        let start = create.start.unwrap_or_default();
        let next = create.start.unwrap_or(now.next());
        let catching_up = create.start.is_some_and(|start| start <= now);
        Self { id, start, next, filter, fragment, progress_notify, idle: true, catching_up, queued: false }
    }

    /// Whether everything up to `now` has been or is being sent as it happens.
    pub(super) fn is_synced(&self, ring: &Ring, now: Revision) -> bool {
        ring.is_live() && !self.catching_up && self.start <= now && self.next >= ring.floor()
    }

    /// The next events in the ring. `through`: all live feeds are complete up to there.
    pub(super) fn pull(&mut self, feed: &Feed, through: Revision) -> Pull {
        let ring = feed.ring.lock();
        if self.next < ring.floor() {
            self.catching_up = true;
            return Pull::Behind;
        }
        if self.catching_up {
            return self.pull_many(feed.id, &ring, through);
        }
        let Some(entry) = ring.since(self.next).next() else { return Pull::Nothing };
        self.next = entry.revision.next();
        self.sent(entry.revision, self.filter.apply(&entry.events))
    }

    fn pull_many(&mut self, feed: FeedId, ring: &Ring, through: Revision) -> Pull {
        let mut collected = BytesMut::new();
        let next = self.next;
        for entry in ring.since(next).take(MAX_CATCH_UP_REVISIONS) {
            collected.extend_from_slice(&entry.events);
            self.next = entry.revision.next();
            if collected.len() >= MAX_CATCH_UP_BYTES {
                break;
            }
        }
        if self.next == next {
            self.catching_up = !ring.is_live_for(feed);
            return Pull::Nothing;
        }
        let current = through.max(Revision(self.next.0 - 1));
        self.sent(current, self.filter.apply(&collected.freeze()))
    }

    /// The next events of a page.
    pub(super) fn pull_page(&mut self, page: &Page) -> Pull {
        let rest = page.since(self.next);
        let (revisions, later) = rest.split_at(rest.len().min(MAX_CATCH_UP_REVISIONS));
        if let Some((last, _)) = revisions.last() {
            self.next = last.next();
        }
        if later.is_empty() {
            self.next = self.next.max(page.through.next());
        }
        let filter = self.filter;
        let wanted = |event: &&Event| if event.kind == EventKind::Delete { filter.deletes } else { filter.puts };
        let events = revisions.iter().flat_map(|(_, events)| events).filter(wanted);
        self.sent(page.current, events::encode(events))
    }

    fn sent(&mut self, revision: Revision, events: Bytes) -> Pull {
        if events.is_empty() {
            return Pull::Filtered;
        }
        self.idle = false;
        Pull::Events(revision, events)
    }
}
