//! The feeds from the node: one per range and `prev_kv`, however many watches want it.
//!
//! ```text
//!  attach ──first watch──► Subscribe ──► Starting ──started──► live ◄──► lagging (the node says so)
//!  detach ──last watch───► Unsubscribe                           │
//!                                        a new link: Subscribe from where each feed is complete
//! ```
//!
//! Invariants: a feed is subscribed exactly while a stream has a watch on it; its ring continues where it ended, over
//! any number of links, or is forgotten as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use internal_proto::{Event, FeedEvents, FeedId, KeyRange, Revision, WatchBatch, WatchCommand};
use parking_lot::Mutex;

use super::events;
use super::hub::Counts;
use super::ring::{Budget, Entry, Ring};
use super::stream::Stream;

/// Feeds of one gateway: some kilobyte each here and in the node. More ranges than this are refused.
const MAX_FEEDS: usize = 100_000;

/// What a feed carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FeedKey {
    pub(super) range: KeyRange,
    pub(super) prev_kv: bool,
}

/// A feed as its watches see it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) id: FeedId,
    pub(super) key: FeedKey,
    pub(super) ring: Mutex<Ring>,
}

/// A feed as the hub sees it.
struct Subscription {
    feed: Arc<Feed>,
    streams: Vec<Arc<Stream>>,
    /// Complete through here while it is not live.
    through: Revision,
    /// The part of a revision that has arrived.
    partial: Vec<Event>,
}

/// All feeds, and what is to be told to the node.
#[derive(Default)]
pub(super) struct Feeds {
    by_key: HashMap<FeedKey, FeedId>,
    by_id: BTreeMap<FeedId, Subscription>,
    next_id: u64,
    budget: Budget,
    /// Feeds that the node has started and that are not live yet.
    not_live: BTreeSet<FeedId>,
    /// All live feeds are complete through here.
    through: Revision,
    pub(super) outbox: VecDeque<WatchCommand>,
}

impl Feeds {
    /// Feeds, watches, and watches that read history; streams are counted elsewhere.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { feeds: self.by_id.len(), ..Counts::default() };
        for (id, subscription) in &self.by_id {
            for stream in &subscription.streams {
                let state = stream.state.lock();
                let watches = state.slots.get(id).map_or(&[][..], |slot| &slot.watches[..]);
                counts.watches += watches.len();
                counts.slow_watches += watches.iter().filter(|watch| watch.queued).count();
            }
        }
        counts
    }

    /// The feed of a key, if there is one.
    pub(super) fn find(&self, key: &FeedKey) -> Option<Arc<Feed>> {
        Some(Arc::clone(&self.by_id.get(self.by_key.get(key)?)?.feed))
    }

    /// Puts a stream on a feed, which will carry at least everything from `next` on. `None`: too many feeds.
    pub(super) fn attach(&mut self, key: &FeedKey, next: Revision, stream: &Arc<Stream>) -> Option<Arc<Feed>> {
        if let Some(id) = self.by_key.get(key) {
            let subscription = self.by_id.get_mut(id)?;
            subscription.streams.push(Arc::clone(stream));
            return Some(Arc::clone(&subscription.feed));
        }
        if self.by_id.len() >= MAX_FEEDS {
            return None;
        }
        let id = FeedId(self.next_id);
        self.next_id += 1;
        let feed = Arc::new(Feed { id, key: key.clone(), ring: Mutex::new(Ring::new(next)) });
        let (streams, through) = (vec![Arc::clone(stream)], Revision(next.0 - 1));
        self.by_id.insert(id, Subscription { feed: Arc::clone(&feed), streams, through, partial: Vec::new() });
        self.by_key.insert(key.clone(), id);
        self.subscribe(&feed, Some(next));
        Some(feed)
    }

    /// Takes a stream off a feed.
    pub(super) fn detach(&mut self, id: FeedId, stream: &Arc<Stream>) {
        let Some(subscription) = self.by_id.get_mut(&id) else { return };
        if let Some(position) = subscription.streams.iter().position(|other| Arc::ptr_eq(other, stream)) {
            subscription.streams.swap_remove(position);
        }
        if subscription.streams.is_empty() {
            self.by_key.remove(&subscription.feed.key);
            self.by_id.remove(&id);
            self.outbox.push_back(WatchCommand::Unsubscribe(id));
        }
    }

    fn subscribe(&mut self, feed: &Feed, next: Option<Revision>) {
        let FeedKey { range, prev_kv } = feed.key.clone();
        self.outbox.push_back(WatchCommand::Subscribe { feed: feed.id, range, prev_kv, next });
    }

    /// Subscribes everything again over a new link, each feed from where it is complete.
    pub(super) fn resume(&mut self) {
        self.outbox.clear();
        self.not_live.clear();
        let mut resumed = Vec::with_capacity(self.by_id.len());
        for subscription in self.by_id.values_mut() {
            let mut ring = subscription.feed.ring.lock();
            if ring.live {
                subscription.through = self.through;
            }
            ring.live = false;
            subscription.partial.clear();
            // A ring that was forgotten starts where the node is now.
            let next = (!ring.is_forgotten()).then(|| subscription.through.next());
            drop(ring);
            resumed.push((Arc::clone(&subscription.feed), next));
        }
        for (feed, next) in resumed {
            self.subscribe(&feed, next);
        }
    }

    /// Takes in what a batch says about feeds. A feed is live only once all that the batch has of it is in its ring:
    /// a stream that looks meanwhile must not take it for complete.
    pub(super) fn receive(&mut self, batch: &mut WatchBatch) {
        for (id, first) in &batch.started {
            if let Some(subscription) = self.by_id.get_mut(id) {
                subscription.feed.ring.lock().start(*first);
                subscription.through = subscription.through.max(Revision(first.0 - 1));
            }
        }
        for part in batch.events.drain(..) {
            self.receive_events(part);
        }
        for (id, _) in batch.compacted.drain(..) {
            let Some(subscription) = self.by_id.get_mut(&id) else { continue };
            // What was missed is gone, perhaps: each watch asks the history, which knows.
            subscription.feed.ring.lock().forget();
            subscription.mark();
            let feed = Arc::clone(&subscription.feed);
            self.subscribe(&feed, None);
        }
        let behind: BTreeMap<FeedId, Revision> = batch.behind.drain(..).collect();
        for (id, through) in &behind {
            if let Some(subscription) = self.by_id.get_mut(id) {
                subscription.through = *through;
                subscription.feed.ring.lock().live = false;
            }
        }
        self.not_live.extend(batch.started.drain(..).map(|(id, _)| id).chain(behind.keys().copied()));
        // After a change of nodes the new one may be behind what is complete already.
        if batch.through >= self.through {
            self.through = batch.through;
            for id in std::mem::replace(&mut self.not_live, behind.keys().copied().collect()) {
                if !behind.contains_key(&id) {
                    self.set_live(id);
                }
            }
        }
    }

    /// All live feeds are complete through here.
    pub(super) const fn through(&self) -> Revision {
        self.through
    }

    fn set_live(&mut self, id: FeedId) {
        let Some(subscription) = self.by_id.get(&id) else { return };
        let mut ring = subscription.feed.ring.lock();
        if !ring.live && !ring.is_forgotten() {
            ring.live = true;
            drop(ring);
            // Watches that were catching up may now be synced.
            subscription.mark();
        }
    }

    fn receive_events(&mut self, part: FeedEvents) {
        let Some(subscription) = self.by_id.get_mut(&part.feed) else { return };
        let encoded = if part.last && subscription.partial.is_empty() {
            events::encode(part.events.iter())
        } else {
            subscription.partial.extend(part.events);
            if !part.last {
                return;
            }
            events::encode(std::mem::take(&mut subscription.partial).iter())
        };
        subscription.through = subscription.through.max(part.revision);
        let entry = Entry { revision: part.revision, events: encoded };
        let evict = self.budget.push(part.feed, &mut subscription.feed.ring.lock(), entry);
        subscription.mark();
        for id in evict {
            if let Some(subscription) = self.by_id.get(&id) {
                subscription.feed.ring.lock().evict();
            }
        }
    }
}

impl Subscription {
    fn mark(&self) {
        for stream in &self.streams {
            stream.mark(self.feed.id);
        }
    }
}
