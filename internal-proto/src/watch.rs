//! What a gateway asks of a storage node's watch hub, and what it is sent.
//!
//! ```text
//!  gateway ──Subscribe{feed, range, next}──► node      one feed per (range, prev_kv), however many clients
//!  gateway ──Read{page, range, next}───────► node      history for one watch, when its client can take it
//!  gateway ──Now───────────────────────────► node      where the store is, before a watch is created
//!  gateway ◄──WatchBatch{events, through}─── node      every event ≤ through of every feed has been sent
//! ```
//!
//! Invariants: a feed's events come in revision order, each once; the parts of one revision are consecutive and only
//! the final one is marked `last`; `through` never runs ahead of the events sent, and no page runs ahead of `through`.

use tokio::sync::mpsc;

use crate::{Event, KeyRange, Revision, Stamp};

/// A feed's number, chosen by the gateway. Within a link it is used again only for the same range, once it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u64);

/// A page's number, chosen by the gateway, never reused within a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u64);

/// A question's number, chosen by the gateway, rising within a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NowId(pub u64);

/// What a gateway asks of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchCommand {
    /// Send the events of a range, from a revision on.
    Subscribe {
        /// The new feed.
        feed: FeedId,
        /// The keys.
        range: KeyRange,
        /// Send the version before each change too.
        prev_kv: bool,
        /// The first revision to send; `None` for what comes after the hub takes the command.
        next: Option<Revision>,
    },
    /// End a feed; what was sent before may still arrive.
    Unsubscribe(FeedId),
    /// Send one page of history.
    Read {
        /// The page.
        page: PageId,
        /// The keys.
        range: KeyRange,
        /// Send the version before each change too.
        prev_kv: bool,
        /// The first revision to send.
        next: Revision,
    },
    /// Send a batch with a fresh stamp and `through`, even if nothing happened.
    Now(NowId),
}

/// What a hub sends. Bounded in bytes, but one revision is always admitted whole, in parts if it is large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchBatch {
    /// The node's state when it sent the batch; after catch-up events, the header's revision.
    pub stamp: Stamp,
    /// The node's compacted revision when it sent the batch.
    pub compacted_to: Revision,
    /// The latest question that this batch answers.
    pub now: Option<NowId>,
    /// Feeds that began with this batch, and the first revision each will send.
    pub started: Vec<(FeedId, Revision)>,
    /// Events, of each feed in revision order.
    pub events: Vec<FeedEvents>,
    /// Feeds whose next event is compacted: they are over. The revision is the compacted one.
    pub compacted: Vec<(FeedId, Revision)>,
    /// All events up to here have been sent for all feeds that have caught up; feeds that still catch up are listed.
    pub through: Revision,
    /// Feeds that have not caught up, each with the revision through which it is complete.
    pub behind: Vec<(FeedId, Revision)>,
    /// Pages asked for.
    pub pages: Vec<WatchPage>,
}

/// One page of history, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchPage {
    /// Which page.
    pub page: PageId,
    /// What was read.
    pub content: PageContent,
}

/// What was read for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageContent {
    /// Whole revisions, in order.
    Events {
        /// Each revision with its events.
        revisions: Vec<(Revision, Vec<Event>)>,
        /// Every event of the range from the page's start up to here is in the page.
        through: Revision,
    },
    /// The page's start is below the compacted revision, which is this.
    Compacted(Revision),
}

/// One revision's events of one feed, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvents {
    /// The feed.
    pub feed: FeedId,
    /// The revision that all these events have.
    pub revision: Revision,
    /// In the order in which the request made the changes.
    pub events: Vec<Event>,
    /// Whether the revision is complete with this part.
    pub last: bool,
}

/// A gateway's connection to one hub. Both directions are bounded; dropping either end closes the link.
#[derive(Debug)]
pub struct WatchLink {
    /// To the hub.
    pub commands: mpsc::Sender<WatchCommand>,
    /// From the hub.
    pub batches: mpsc::Receiver<WatchBatch>,
}
