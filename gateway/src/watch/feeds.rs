//! The feeds that watches follow: one per range and `prev_kv`, however many watches want it.
//!
//! ```text
//!                          ┌─ Own ──────► ring of feed 0 ──► streams        few ranges: a subscription each
//!  node ──subscriptions──► ├─ Own ──────► ring of feed 1 ──► streams
//!                          └─ Covered ──► RangeIndex ─┬────► ring of feed 2 ──► streams     the ranges beyond
//!                            (every key)              └────► ring of feed 3 ──► streams
//! ```
//!
//! **Covering.** A subscription costs memory here and at the node, a command when it begins and another over every new
//! link. So only the first ranges of a gateway have their own; those beyond share one of every key (one for each
//! `prev_kv`), whose events the gateway matches to ranges by an index. Every key, because no narrower choice is both
//! simple and bounded: so many ranges seldom have a prefix in common, a grown cover would subscribe anew with each
//! range, and what is sent in vain is at most what the node writes once. Ranges that have their own keep it. When half
//! as many ranges are left as may have their own, all of them get it, so that a burst of watches costs nothing for
//! ever; the other half keeps a gateway from going back and forth.
//!
//! Watches do not see the difference: a ring is filled revision by revision by one subscription at a time, and is
//! handed from one to the other at a revision through which it is complete. History and authorization are of the
//! range that the client asked for.
//!
//! Invariants: a feed is there exactly while a stream has a watch on it; its ring continues where it ended, whatever
//! fills it, or is forgotten as a whole.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{Event, FeedId, KeyRange, Revision, WatchBatch};
use parking_lot::Mutex;

use super::events;
use super::hub::Counts;
use super::ring::{Budget, Entry, Ring};
use super::source::Source;
use super::stream::Stream;
use super::subscriptions::{Fills, Subscriptions};

/// Ranges of a gateway that have a subscription of their own: some kilobyte each here and in the node.
pub(super) const MAX_OWN: usize = 10_000;
/// Ranges of a gateway: half a kilobyte each and as much for the watch, so two gigabytes. More are refused.
const MAX_FEEDS: usize = 2_000_000;

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
struct Followed {
    feed: Arc<Feed>,
    streams: Vec<Arc<Stream>>,
}

/// All feeds.
pub(super) struct Feeds {
    by_key: HashSet<ByKey>,
    by_id: BTreeMap<FeedId, Followed>,
    next_id: u64,
    max_own: usize,
    pub(super) subscriptions: Subscriptions,
    /// The subscriptions that cover ranges, by `prev_kv`.
    covering: BTreeMap<bool, FeedId>,
    budget: Budget,
    /// Which event of a revision concerns which feed. Kept for its allocation.
    matches: Vec<(FeedId, usize)>,
}

impl Feeds {
    /// No feeds. `max_own`: how many may have a subscription of their own.
    pub(super) fn new(max_own: usize) -> Self {
        Self {
            by_key: HashSet::new(),
            by_id: BTreeMap::new(),
            next_id: 0,
            max_own,
            subscriptions: Subscriptions::default(),
            covering: BTreeMap::new(),
            budget: Budget::default(),
            matches: Vec::new(),
        }
    }

    /// Feeds, watches, and watches that read history; streams are counted elsewhere.
    pub(super) fn counts(&self) -> Counts {
        let (ranges, feeds) = (self.by_id.len(), self.subscriptions.len());
        let covered = ranges + self.covering.len() - feeds;
        let mut counts = Counts { ranges, covered, feeds, ..Counts::default() };
        for (id, followed) in &self.by_id {
            for stream in &followed.streams {
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
        self.by_key.get(key).map(|ByKey(feed)| Arc::clone(feed))
    }

    /// Puts a stream on a feed, which will carry at least everything from `next` on. `None`: too many feeds.
    pub(super) fn attach(&mut self, key: FeedKey, next: Revision, stream: &Arc<Stream>) -> Option<Arc<Feed>> {
        if let Some(feed) = self.find(&key) {
            self.by_id.get_mut(&feed.id)?.streams.push(Arc::clone(stream));
            return Some(feed);
        }
        if self.by_id.len() >= MAX_FEEDS {
            return None;
        }
        let id = self.new_id();
        let ring = if self.subscriptions.len() < self.max_own {
            Ring::new(next, self.subscriptions.open(id, key.clone(), Fills::Own, next))
        } else {
            self.cover(id, &key, next)?
        };
        let feed = Arc::new(Feed { id, key, ring: Mutex::new(ring) });
        self.by_id.insert(id, Followed { feed: Arc::clone(&feed), streams: vec![Arc::clone(stream)] });
        self.by_key.insert(ByKey(Arc::clone(&feed)));
        Some(feed)
    }

    fn new_id(&mut self) -> FeedId {
        let id = FeedId(self.next_id);
        self.next_id += 1;
        id
    }

    /// The ring of a feed that the covering subscription fills.
    fn cover(&mut self, id: FeedId, key: &FeedKey, next: Revision) -> Option<Ring> {
        let prev_kv = key.prev_kv;
        let covering = match self.covering.get(&prev_kv) {
            Some(covering) => *covering,
            None => {
                let covering = self.new_id();
                let everything = FeedKey { range: KeyRange::all(), prev_kv };
                self.subscriptions.open(covering, everything, Fills::Covered(Box::default()), next);
                self.covering.insert(prev_kv, covering);
                covering
            }
        };
        if let Fills::Covered(index) = &mut self.subscriptions.get_mut(covering)?.fills {
            index.insert(&key.range, id);
        }
        let (source, floor) = self.subscriptions.join(covering)?;
        Some(floor.map_or_else(|| Ring::forgotten(Arc::clone(&source)), |floor| Ring::new(floor, Arc::clone(&source))))
    }

    /// Takes a stream off a feed.
    pub(super) fn detach(&mut self, id: FeedId, stream: &Arc<Stream>) {
        let Some(followed) = self.by_id.get_mut(&id) else { return };
        if let Some(position) = followed.streams.iter().position(|other| Arc::ptr_eq(other, stream)) {
            followed.streams.swap_remove(position);
        }
        if !followed.streams.is_empty() {
            return;
        }
        let Some(Followed { feed, .. }) = self.by_id.remove(&id) else { return };
        self.by_key.remove(&feed.key);
        if !self.subscriptions.close(id) {
            self.uncover(&feed);
        }
    }

    fn uncover(&mut self, feed: &Feed) {
        let prev_kv = feed.key.prev_kv;
        let Some(covering) = self.covering.get(&prev_kv).copied() else { return };
        let Some(subscription) = self.subscriptions.get_mut(covering) else { return };
        if let Fills::Covered(index) = &mut subscription.fills {
            index.remove(&feed.key.range, feed.id);
            if index.is_empty() {
                self.subscriptions.close(covering);
                self.covering.remove(&prev_kv);
            }
        }
    }

    /// Takes in what a batch says about feeds. A source is live only once all that the batch has of it is in the
    /// rings: a stream that looks meanwhile must not take it for complete.
    pub(super) fn receive(&mut self, batch: &mut WatchBatch) {
        for (id, first) in batch.started.drain(..) {
            if let Some(source) = self.subscriptions.start(id, first) {
                self.filled_by(&source, |followed| followed.feed.ring.lock().start(first));
            }
        }
        for part in batch.events.drain(..) {
            let (id, revision) = (part.feed, part.revision);
            if let Some(events) = self.subscriptions.receive_events(part) {
                self.fill(id, revision, &events);
            }
        }
        for (id, _) in batch.compacted.drain(..) {
            if let Some(source) = self.subscriptions.forget(id) {
                // What was missed is gone, perhaps: each watch asks the history, which knows.
                self.filled_by(&source, |followed| {
                    followed.feed.ring.lock().forget();
                    followed.mark();
                });
            }
        }
        for id in self.subscriptions.advance(batch) {
            // Watches that were catching up may now be synced.
            self.mark(id);
        }
        if !self.covering.is_empty() && self.by_id.len() <= self.max_own / 2 {
            self.give_own();
        }
    }

    /// Does something to every feed that a source fills: seldom, so they are found by looking at all.
    fn filled_by(&self, source: &Arc<Source>, act: impl Fn(&Followed)) {
        for followed in self.by_id.values() {
            if followed.feed.ring.lock().is_filled_by(source) {
                act(followed);
            }
        }
    }

    fn mark(&self, id: FeedId) {
        if let Some(followed) = self.by_id.get(&id) {
            followed.mark();
        }
    }

    /// Puts a whole revision into the rings that it concerns.
    fn fill(&mut self, id: FeedId, revision: Revision, events: &[Event]) {
        let Some(subscription) = self.subscriptions.get_mut(id) else { return };
        let Fills::Covered(index) = &subscription.fills else {
            let whole = events::encode(events.iter());
            return self.push(id, revision, whole, false);
        };
        let mut matches = std::mem::take(&mut self.matches);
        let mut found = Vec::new();
        for (position, event) in events.iter().enumerate() {
            index.matching(event.kv.key(), &mut found);
            matches.extend(found.drain(..).map(|feed| (feed, position)));
        }
        matches.sort_unstable();
        let mut encoded: Vec<Option<Bytes>> = vec![None; events.len()];
        for group in matches.chunk_by(|(one, _), (other, _)| one == other) {
            match group {
                // One allocation for all feeds, which is weighed once.
                [(feed, position)] => {
                    let shared = encoded[*position].is_some();
                    let bytes =
                        encoded[*position].get_or_insert_with(|| events::encode([&events[*position]].into_iter()));
                    self.push(*feed, revision, bytes.clone(), shared);
                }
                [(feed, _), ..] => {
                    let own = group.iter().map(|(_, position)| &events[*position]);
                    self.push(*feed, revision, events::encode(own), false);
                }
                [] => {}
            }
        }
        matches.clear();
        self.matches = matches;
    }

    fn push(&mut self, id: FeedId, revision: Revision, events: Bytes, shared: bool) {
        let Some(followed) = self.by_id.get(&id) else { return };
        let entry = Entry { revision, events };
        let evict = self.budget.push(id, &mut followed.feed.ring.lock(), entry, shared);
        followed.mark();
        for id in evict {
            if let Some(followed) = self.by_id.get(&id) {
                followed.feed.ring.lock().evict();
            }
        }
    }

    /// Gives every covered feed a subscription of its own, from where the covering one is complete.
    fn give_own(&mut self) {
        let Self { covering, subscriptions, by_id, .. } = self;
        covering.retain(|_, covering| {
            let Some((source, next)) = subscriptions.handover(*covering) else { return true };
            for (id, Followed { feed, .. }) in by_id.iter() {
                let mut ring = feed.ring.lock();
                if ring.is_filled_by(&source) {
                    ring.hand_over(subscriptions.open(*id, feed.key.clone(), Fills::Own, next));
                }
            }
            subscriptions.close(*covering);
            false
        });
    }
}

impl Followed {
    fn mark(&self) {
        for stream in &self.streams {
            stream.mark(self.feed.id);
        }
    }
}

/// A feed that is found by its key.
struct ByKey(Arc<Feed>);

impl Borrow<FeedKey> for ByKey {
    fn borrow(&self) -> &FeedKey {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}
