//! The subscriptions at the node that fill the feeds, over any number of links.
//!
//! ```text
//!  open ──Subscribe──► Starting ──started──► live ◄──► lagging (the node says so) ──compacted──► forgotten
//!  close ──Unsubscribe──► gone                 │                                                    │
//!                   a new link: Subscribe from where each is complete    Subscribe from now ◄───────┘
//! ```
//!
//! Invariants: what a subscription gives continues where it ended, over any number of links, or is forgotten as a
//! whole; only whole revisions leave; it is live only once everything up to `through` is in the rings that it fills.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use internal_proto::{Event, FeedEvents, FeedId, RangeIndex, Revision, WatchBatch, WatchCommand};

use super::feeds::FeedKey;
use super::source::Source;

/// One subscription.
pub(super) struct Subscription {
    key: FeedKey,
    source: Arc<Source>,
    /// Complete through here while it is not live; `None`: the node will say where it starts.
    through: Option<Revision>,
    /// The part of a revision that has arrived.
    partial: Vec<Event>,
    pub(super) fills: Fills,
}

/// Whose rings a subscription fills.
pub(super) enum Fills {
    /// The feed of the same number and key.
    Own,
    /// The feeds of these ranges.
    Covered(Box<RangeIndex<FeedId>>),
}

/// All subscriptions, and what is to be told to the node.
#[derive(Default)]
pub(super) struct Subscriptions {
    by_id: BTreeMap<FeedId, Subscription>,
    /// Those that the node has started and that are not live yet.
    not_live: BTreeSet<FeedId>,
    /// All live subscriptions are complete through here.
    through: Revision,
    pub(super) outbox: VecDeque<WatchCommand>,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All live subscriptions are complete through here.
    pub(super) const fn through(&self) -> Revision {
        self.through
    }

    pub(super) fn get_mut(&mut self, id: FeedId) -> Option<&mut Subscription> {
        self.by_id.get_mut(&id)
    }

    /// Subscribes from a revision on.
    pub(super) fn open(&mut self, id: FeedId, key: FeedKey, fills: Fills, next: Revision) -> Arc<Source> {
        let source = Arc::<Source>::default();
        let through = Some(Revision(next.0 - 1));
        let subscription = Subscription { key, source: Arc::clone(&source), through, partial: Vec::new(), fills };
        self.outbox.push_back(subscription.command(id));
        self.by_id.insert(id, subscription);
        source
    }

    /// Ends a subscription, if there is one of this number.
    pub(super) fn close(&mut self, id: FeedId) -> bool {
        let existed = self.by_id.remove(&id).is_some();
        if existed {
            self.outbox.push_back(WatchCommand::Unsubscribe(id));
        }
        existed
    }

    /// The source of a subscription, and the first revision of which it may not have given anything yet: from there
    /// on, a ring that joins now gets everything. `None` instead of a revision: nobody knows before it starts.
    pub(super) fn join(&self, id: FeedId) -> Option<(Arc<Source>, Option<Revision>)> {
        let subscription = self.by_id.get(&id)?;
        let complete = subscription.complete(self.through);
        Some((Arc::clone(&subscription.source), complete.map(Revision::next)))
    }

    /// Where a live subscription can be replaced by others without loss or repetition.
    pub(super) fn handover(&self, id: FeedId) -> Option<(Arc<Source>, Revision)> {
        let (source, next) = self.join(id)?;
        source.is_live().then_some((source, next?))
    }

    /// Subscribes everything again over a new link, each from where it is complete.
    pub(super) fn resume(&mut self) {
        self.outbox.clear();
        self.not_live.clear();
        for (id, subscription) in &mut self.by_id {
            subscription.through = subscription.complete(self.through);
            subscription.source.set_lagging();
            subscription.partial.clear();
            self.outbox.push_back(subscription.command(*id));
        }
    }

    /// The node has started a subscription. The source whose rings start at this revision, if they were forgotten.
    pub(super) fn start(&mut self, id: FeedId, first: Revision) -> Option<Arc<Source>> {
        self.not_live.insert(id);
        let subscription = self.by_id.get_mut(&id)?;
        let before = Revision(first.0 - 1);
        let forgotten = subscription.through.is_none();
        subscription.through = subscription.through.max(Some(before));
        forgotten.then(|| Arc::clone(&subscription.source))
    }

    /// Takes in a part of a revision; the events of the revision once it is whole.
    pub(super) fn receive_events(&mut self, part: FeedEvents) -> Option<Vec<Event>> {
        let subscription = self.by_id.get_mut(&part.feed)?;
        let events = if subscription.partial.is_empty() {
            part.events
        } else {
            subscription.partial.extend(part.events);
            std::mem::take(&mut subscription.partial)
        };
        if !part.last {
            subscription.partial = events;
            return None;
        }
        subscription.through = subscription.through.max(Some(part.revision));
        Some(events)
    }

    /// What a subscription missed is compacted: it begins anew, where the node is. The source that has forgotten.
    pub(super) fn forget(&mut self, id: FeedId) -> Option<Arc<Source>> {
        let subscription = self.by_id.get_mut(&id)?;
        subscription.through = None;
        subscription.partial.clear();
        subscription.source.set_lagging();
        self.outbox.push_back(subscription.command(id));
        Some(Arc::clone(&subscription.source))
    }

    /// Takes in how far the batch is complete, once its events are in their rings. The feeds that waited for it.
    pub(super) fn advance(&mut self, batch: &mut WatchBatch) -> BTreeSet<FeedId> {
        let behind: BTreeMap<FeedId, Revision> = batch.behind.drain(..).collect();
        for (id, through) in &behind {
            if let Some(subscription) = self.by_id.get_mut(id) {
                subscription.through = Some(*through);
                subscription.source.set_lagging();
            }
        }
        self.not_live.extend(behind.keys());
        let mut told = BTreeSet::new();
        // After a change of nodes the new one may be behind what is complete already.
        if batch.through < self.through {
            return told;
        }
        self.through = batch.through;
        for id in std::mem::replace(&mut self.not_live, behind.keys().copied().collect()) {
            if !behind.contains_key(&id)
                && let Some(subscription) = self.by_id.get(&id).filter(|subscription| subscription.through.is_some())
            {
                told.append(&mut subscription.source.set_live());
            }
        }
        told
    }
}

impl Subscription {
    /// Complete through here; `None`: it has forgotten and not begun again.
    fn complete(&self, live_through: Revision) -> Option<Revision> {
        if self.source.is_live() { self.through.max(Some(live_through)) } else { self.through }
    }

    fn command(&self, feed: FeedId) -> WatchCommand {
        let FeedKey { range, prev_kv } = self.key.clone();
        let next = self.through.map(Revision::next);
        WatchCommand::Subscribe { feed, range, prev_kv, next }
    }
}
