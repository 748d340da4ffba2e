//! The hub's decisions, without a clock, a task or a read of its own.
//!
//! ```text
//!  publish ──► RangeIndex ──► links' batches ──take──► gateways
//!          └─► Recent ──────────────▲
//!  next_reads ──► (read the history elsewhere) ──► finish
//! ```
//!
//! Invariants: a batch's `through` is the last published revision, and every event up to it, for every watcher that is
//! not listed as behind, is in this batch or an earlier one; nothing above it is in any batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use internal_proto::{Fault, FeedId, KeyRange, PageContent, RangeIndex, Revision, Stamp, WatchBatch, WatchCommand};
use tokio::sync::Notify;

use super::link::{self, Link, Page, Watcher, for_watcher};
use super::recent::Recent;
use crate::state::{ChangePage, Changes};

/// Reads done in one go for a link: enough to share a thread's wake-up, few enough to deliver soon.
const READS_PER_ROUND: usize = 64;

/// A link's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(pub(super) u64);

/// Everything the hub knows.
#[derive(Debug)]
pub(super) struct Core {
    stamp: Stamp,
    compacted: Revision,
    recent: Recent,
    index: RangeIndex<(LinkId, FeedId)>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    /// Kept for its allocation.
    found: Vec<(LinkId, FeedId)>,
}

/// When a link's next batch is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    /// Only `through` moved: it may wait a little.
    Soon,
    Never,
}

/// A read of the history that somebody waits for.
#[derive(Clone, Debug)]
pub(super) struct Read {
    target: Target,
    pub(super) range: KeyRange,
    pub(super) next: Revision,
}

#[derive(Clone, Debug)]
enum Target {
    Watcher(FeedId),
    Page(Page),
}

/// What became of a read. A read that was not done is asked for again.
pub(super) enum Outcome {
    Read(ChangePage),
    /// The read's start is below this compacted revision.
    Compacted(Revision),
    NotDone,
}

impl Core {
    pub(super) fn new(stamp: Stamp, compacted: Revision) -> Self {
        Self {
            stamp,
            compacted,
            recent: Recent::new(stamp.revision),
            index: RangeIndex::default(),
            links: BTreeMap::new(),
            next_link: 0,
            found: Vec::new(),
        }
    }

    pub(super) fn publish(&mut self, stamp: Stamp, changes: &[Changes], compacted: Option<Revision>) {
        for changes in changes {
            self.publish_revision(changes);
        }
        let moved = stamp.revision != self.stamp.revision || compacted.is_some();
        self.stamp = stamp;
        self.compacted = compacted.unwrap_or(self.compacted);
        for link in self.links.values_mut() {
            // Before a compaction can refuse a resumption, the gateway is told how far it is complete.
            link.urgent |= compacted.is_some();
            if link.urgent || (moved && !link.moved) {
                link.wake.notify_one();
            }
            link.moved |= moved;
        }
    }

    /// The store moved on at once, without its changes: every watcher reads from the history what it missed.
    pub(super) fn leap(&mut self, stamp: Stamp, compacted: Revision) {
        let missed = self.stamp.revision.next();
        self.stamp = stamp;
        self.compacted = compacted;
        self.recent = Recent::new(stamp.revision);
        for link in self.links.values_mut() {
            link.leap(missed, stamp.revision);
        }
    }

    fn publish_revision(&mut self, changes: &Changes) {
        self.recent.push(changes);
        if self.index.is_empty() {
            return;
        }
        for event in &changes.events {
            self.found.clear();
            self.index.matching(event.kv.key(), &mut self.found);
            self.found.sort_unstable();
            let mut weighed = None;
            for (id, feed) in &self.found {
                let link = self.links.get_mut(id).expect("a closed link leaves the index");
                link.offer(*feed, changes.revision, event, weighed == Some(*id));
                weighed = Some(*id);
            }
        }
    }

    pub(super) fn open_link(&mut self) -> (LinkId, Arc<Notify>) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let link = self.links.entry(id).or_default();
        // A gateway learns at once where the node is.
        link.urgent = true;
        (id, Arc::clone(&link.wake))
    }

    pub(super) fn close_link(&mut self, id: LinkId) {
        let Some(link) = self.links.remove(&id) else { return };
        for (feed, watcher) in link.watchers {
            self.index.remove(&watcher.range, (id, feed));
        }
    }

    pub(super) fn command(&mut self, id: LinkId, command: WatchCommand) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match command {
            WatchCommand::Subscribe { feed, range, prev_kv, next } => self.subscribe(id, feed, range, prev_kv, next),
            WatchCommand::Unsubscribe(feed) => self.unsubscribe(id, feed),
            WatchCommand::Read { page, range, prev_kv, next } => {
                link.pages.push_back(Page { page, range, prev_kv, next });
            }
            WatchCommand::Now(now) => link.answer(now),
        }
    }

    fn subscribe(&mut self, id: LinkId, feed: FeedId, range: KeyRange, prev_kv: bool, next: Option<Revision>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let current = self.stamp.revision;
        let next = next.unwrap_or(current.next());
        if next < self.compacted {
            return link.compacted(feed, self.compacted);
        }
        self.index.insert(&range, (id, feed));
        link.watchers.insert(feed, Watcher::new(range, prev_kv, next));
        link.started(feed, next);
        if next > current {
            return;
        }
        match self.recent.since(next) {
            Some(recent) => link.join(feed, recent, current),
            None => link.fall_behind(feed, next),
        }
    }

    fn unsubscribe(&mut self, id: LinkId, feed: FeedId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.lagging.remove(&feed);
        if let Some(watcher) = link.watchers.remove(&feed) {
            self.index.remove(&watcher.range, (id, feed));
        }
    }

    /// What to read for a link now: nothing while its batch is full.
    pub(super) fn next_reads(&mut self, id: LinkId) -> Vec<Read> {
        let mut reads = Vec::new();
        let Some(link) = self.links.get_mut(&id) else { return reads };
        if !link.has_room() {
            return reads;
        }
        while reads.len() < READS_PER_ROUND / 2
            && let Some(page) = link.pages.pop_front()
        {
            reads.push(Read { range: page.range.clone(), next: page.next, target: Target::Page(page) });
        }
        for feed in &link.lagging {
            let Some(watcher) = link.watchers.get_mut(feed) else { continue };
            if reads.len() >= READS_PER_ROUND {
                break;
            }
            if watcher.state == link::State::Behind {
                watcher.state = link::State::Reading;
                reads.push(Read { range: watcher.range.clone(), next: watcher.next, target: Target::Watcher(*feed) });
            }
        }
        reads
    }

    /// Takes in what a read gave.
    pub(super) fn finish(&mut self, id: LinkId, read: Read, outcome: Outcome) {
        match read.target {
            Target::Watcher(feed) => self.finish_watcher(id, feed, outcome),
            Target::Page(page) => self.finish_page(id, page, outcome),
        }
    }

    fn finish_watcher(&mut self, id: LinkId, feed: FeedId, outcome: Outcome) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let current = self.stamp.revision;
        match outcome {
            Outcome::NotDone => link.fall_behind(feed, Revision(0)),
            Outcome::Compacted(compacted) if Fault::EventLostAtCompaction.is_planted() => {
                link.fall_behind(feed, compacted);
            }
            Outcome::Compacted(compacted) => {
                link.compacted(feed, compacted);
                self.unsubscribe(id, feed);
            }
            Outcome::Read(page) => {
                let through = page.through.min(current);
                for changes in page.changes.iter().filter(|changes| changes.revision <= through) {
                    for event in &changes.events {
                        link.append(feed, changes.revision, event, false);
                    }
                }
                match self.recent.since(through.next()) {
                    Some(recent) => link.join(feed, recent, current),
                    None => link.fall_behind(feed, through.next()),
                }
            }
        }
    }

    fn finish_page(&mut self, id: LinkId, page: Page, outcome: Outcome) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let content = match outcome {
            Outcome::NotDone => return link.pages.push_front(page),
            Outcome::Compacted(compacted) => PageContent::Compacted(compacted),
            Outcome::Read(read) => {
                // What is applied but not published yet would run ahead of `through`.
                let through = read.through.min(self.stamp.revision);
                let whole = read.changes.into_iter().filter(|changes| changes.revision <= through);
                let revisions = whole.map(|changes| {
                    let events = changes.events.iter().map(|event| for_watcher(event, page.prev_kv));
                    (changes.revision, events.collect())
                });
                PageContent::Events { revisions: revisions.collect(), through }
            }
        };
        link.page(page.page, content);
    }

    pub(super) fn due(&self, id: LinkId) -> Due {
        match self.links.get(&id) {
            Some(link) if link.urgent => Due::Now,
            Some(link) if link.moved => Due::Soon,
            _ => Due::Never,
        }
    }

    pub(super) fn take(&mut self, id: LinkId) -> Option<WatchBatch> {
        let mut batch = self.links.get_mut(&id)?.take();
        batch.stamp = self.stamp;
        batch.through = self.stamp.revision;
        batch.compacted_to = self.compacted;
        Some(batch)
    }

    /// Links, watchers, and watchers that are not caught up.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let watchers = self.links.values().map(|link| link.watchers.len()).sum();
        let lagging = self.links.values().map(|link| link.lagging.len()).sum();
        (self.links.len(), watchers, lagging)
    }
}
