//! What a stream's requests do, once a node has said where the store is.
//!
//! Invariants: requests take effect in their order; a creation, its compaction and its cancellation are answered here,
//! before any event; a watch from "now" gets what happens after the revision its `Created` shows.

use std::sync::Arc;

use internal_proto::Revision;

use super::cursor::{Create, Watch};
use super::exchange::{Output, Refusal, StreamRequest};
use super::feeds::{FeedKey, Feeds};
use super::stream::{Slot, Stream, StreamState};

/// Progress answers that may wait for a client that does not read; etcd promises none, so more are dropped.
const MAX_OWED: usize = 1024;

/// Where the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
}

impl StreamState {
    /// Carries out one request.
    pub(super) fn apply(&mut self, request: StreamRequest, now: Now, feeds: &mut Feeds, stream: &Arc<Stream>) {
        match request {
            StreamRequest::Create(create) => self.create(create, now, feeds, stream),
            StreamRequest::Refuse(refusal) => self.refuse(refusal, now),
            StreamRequest::Cancel(id) => self.cancel(id, now, feeds, stream),
            StreamRequest::Progress => self.progress(now),
            StreamRequest::Tick => self.notify(now),
        }
    }

    fn refuse(&mut self, refusal: Refusal, now: Now) {
        self.controls.push_back(Output::Refused { refusal, revision: now.revision });
    }

    fn create(&mut self, create: Create, now: Now, feeds: &mut Feeds, stream: &Arc<Stream>) {
        let mut next_id = self.next_id;
        let id = if create.watch_id == 0 {
            while self.ids.contains_key(&next_id) {
                next_id += 1;
            }
            next_id += 1;
            next_id - 1
        } else if self.ids.contains_key(&create.watch_id) {
            return self.refuse(Refusal::DuplicateId, now);
        } else {
            create.watch_id
        };
        let created = Output::Created { watch_id: id, revision: now.revision };
        if create.start.is_some_and(|start| start < now.compacted) {
            self.next_id = next_id;
            self.ids.insert(id, None);
            self.controls.extend([created, Output::Compacted { watch_id: id, compacted: now.compacted }]);
            return;
        }
        let watch = Watch::new(id, &create, now.revision);
        let key = FeedKey { range: create.range, prev_kv: create.prev_kv };
        let feed = match feeds.find(&key).filter(|feed| self.slots.contains_key(&feed.id)) {
            Some(feed) => feed,
            None => match feeds.attach(key, now.revision.next(), stream) {
                Some(feed) => feed,
                None => return self.refuse(Refusal::TooManyFeeds, now),
            },
        };
        self.next_id = next_id;
        self.ids.insert(id, Some(feed.id));
        self.controls.push_back(created);
        let id = feed.id;
        self.slots.entry(id).or_insert_with(|| Slot::new(feed)).insert(watch);
        // The ring may have what a watch from the past wants.
        self.mark(id);
    }

    fn cancel(&mut self, id: i64, now: Now, feeds: &mut Feeds, stream: &Arc<Stream>) {
        let Some(feed) = self.ids.remove(&id) else { return };
        if let Some(feed) = feed.and_then(|feed| self.remove_watch(feed, id)) {
            feeds.detach(feed, stream);
        }
        self.controls.push_back(Output::Canceled { watch_id: id, revision: now.revision });
    }

    /// Answered only by a stream that is synced as a whole; otherwise the client has to ask again.
    fn progress(&mut self, now: Now) {
        if self.ids.is_empty() || !self.is_synced(now.revision) {
            return;
        }
        if self.is_drained() {
            self.controls.push_back(Output::Progress { watch_id: None, revision: now.revision });
        } else if self.owed < MAX_OWED {
            self.owed += 1;
        }
    }

    /// Notifies the watches that asked for it and were idle; one with events on the way is not.
    fn notify(&mut self, now: Now) {
        let mut notified = Vec::new();
        for slot in self.slots.values_mut() {
            let drained = !slot.is_dirty();
            let ring = slot.feed.ring.lock();
            for watch in slot.watches.iter_mut().filter(|watch| watch.progress_notify) {
                if watch.idle && drained && watch.is_synced(&ring, now.revision) {
                    notified.push(watch.id);
                }
                watch.idle = true;
            }
        }
        notified.sort_unstable();
        let progress = |id| Output::Progress { watch_id: Some(id), revision: now.revision };
        self.controls.extend(notified.into_iter().map(progress));
    }
}
