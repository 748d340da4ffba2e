//! The engine that keeps everything in memory; the log and checkpoints make it durable.
//!
//! ```text
//!  Live ───┐
//!  Version ├──► one KeyValue allocation each, shared with answers and events
//!  Change ─┘
//! ```
//!
//! Invariant: a version is in `history` as long as it is in `live` or `versions`, and in exactly one of these two.

mod history;
mod sorted;

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use internal_proto::{KeyRange, Revision};
use parking_lot::RwLock;

use self::history::History;
use self::sorted::{Order, Sorted};
use super::{
    Batch, CHUNK, ChangeId, CountGroup, Engine, NewVersion, Position, Sizes, SmallKey, SmallKind, Version, VersionPage,
};

/// What an allocation costs beside its bytes: the reference count, the length, rounding by the allocator.
const ALLOCATION: usize = 24;

/// An entry of an ordered container.
const ENTRY: usize = 24;

/// Everything in memory.
#[derive(Debug)]
pub struct MemoryEngine {
    content: RwLock<Content>,
}

#[derive(Debug)]
struct Content {
    live: Sorted,
    versions: Sorted,
    history: History,
    small: BTreeMap<SmallKey, Bytes>,
    position: Position,
    entries: usize,
    payload: usize,
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        let content = Content {
            live: Sorted::new(Order::Key),
            versions: Sorted::new(Order::KeyThenNewest),
            history: History::default(),
            small: BTreeMap::new(),
            position: Position::default(),
            entries: 0,
            payload: 0,
        };
        Self { content: RwLock::new(content) }
    }
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl Content {
    fn add(&mut self, new: &NewVersion) {
        let version = &new.version;
        let superseded = if version.is_tombstone() {
            self.keep(version);
            self.live.remove(version.kv.key(), version.id)
        } else {
            self.live.insert(version)
        };
        debug_assert_eq!(superseded, new.previous, "the batch names the live version that it supersedes");
        if let Some(old) = superseded {
            self.keep(&old);
        }
        self.history.append(version);
        self.entries += 2;
        self.payload += version.kv.encoded().len() + ALLOCATION;
    }

    fn keep(&mut self, version: &Version) {
        let before = self.versions.insert(version);
        debug_assert!(before.is_none(), "an id is given once");
    }

    fn drop_version(&mut self, version: &Version) {
        if let Some(old) = self.versions.remove(version.kv.key(), version.id) {
            self.history.remove(version.id);
            self.entries -= 2;
            self.payload -= old.kv.encoded().len() + ALLOCATION;
        }
    }

    fn set_small(&mut self, key: &SmallKey, value: Option<&Bytes>) {
        let size = |key: &SmallKey, value: &Bytes| {
            let name = if let SmallKey::LeaseKey(_, name) = key { name.len() } else { 0 };
            size_of::<SmallKey>() + name + value.len() + ALLOCATION
        };
        match value {
            Some(value) => {
                self.payload += size(key, value);
                if let Some(old) = self.small.insert(key.clone(), value.clone()) {
                    self.payload -= size(key, &old);
                }
            }
            None => {
                if let Some(old) = self.small.remove(key) {
                    self.payload -= size(key, &old);
                }
            }
        }
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &Batch) {
        let (before, last) = batch.versions.split_at(batch.versions.len().saturating_sub(1) / CHUNK * CHUNK);
        for part in before.chunks(CHUNK) {
            let content = &mut *self.content.write();
            content.position = batch.position.unwrap_or(content.position);
            part.iter().for_each(|new| content.add(new));
        }
        let content = &mut *self.content.write();
        for new in last {
            content.add(new);
        }
        for version in &batch.drops {
            content.drop_version(version);
        }
        for (key, value) in &batch.small {
            content.set_small(key, value.as_ref());
        }
        if let Some(position) = batch.position {
            content.position = position;
        }
    }

    fn position(&self) -> Position {
        self.content.read().position
    }

    fn live(&self, key: &[u8]) -> Option<Version> {
        self.content.read().live.get(key)
    }

    fn scan_live(&self, range: &KeyRange, limit: usize) -> Vec<Version> {
        let content = self.content.read();
        let found = content.live.seek(&range.start, ChangeId::default());
        found.take_while(|found| !range.is_past(found.key())).take(limit).map(|found| found.version()).collect()
    }

    fn version(&self, key: &[u8], at: ChangeId) -> Option<Version> {
        let content = self.content.read();
        content.versions.seek(key, at).next().filter(|found| found.key() == key).map(|found| found.version())
    }

    fn scan_versions(&self, range: &KeyRange, at: ChangeId, limit: usize) -> VersionPage {
        let content = self.content.read();
        let mut page = VersionPage::default();
        let mut looked_at = 0;
        let mut cursor = content.versions.seek(&range.start, NEWEST);
        while let Some(newest) = cursor.next() {
            if range.is_past(newest.key()) {
                break;
            }
            if looked_at == limit {
                return page;
            }
            looked_at += 1;
            page.stopped_at = (looked_at == limit).then(|| Bytes::copy_from_slice(newest.key()));
            let seen = if newest.id() <= at { Some(newest) } else { content.versions.seek(newest.key(), at).next() };
            page.versions.extend(seen.filter(|seen| seen.key() == newest.key()).map(|seen| seen.version()));
            // The id below all others of the key, so the next entry is another key's.
            cursor = content.versions.seek(newest.key(), OLDEST);
        }
        page.stopped_at = None;
        page
    }

    fn scan_changes(&self, after: ChangeId, through: Revision, limit: usize) -> Vec<Version> {
        self.content.read().history.after(after, through).take(limit).collect()
    }

    fn small(&self, key: &SmallKey) -> Option<Bytes> {
        self.content.read().small.get(key).cloned()
    }

    fn scan_small(&self, kind: SmallKind, after: Option<&SmallKey>, limit: usize) -> Vec<(SmallKey, Bytes)> {
        let first = SmallKey::first(kind);
        let start = after.map_or(Bound::Included(&first), Bound::Excluded);
        let content = self.content.read();
        let found = content.small.range((start, Bound::Unbounded)).take_while(|(key, _)| key.kind() == kind);
        found.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// None: counting is quicker than keeping them.
    fn counts(&self) -> Option<Vec<CountGroup>> {
        None
    }

    fn sizes(&self) -> Sizes {
        let content = self.content.read();
        let room = content.live.capacity() + content.versions.capacity() + content.history.capacity();
        let in_use = content.payload + content.entries * ENTRY;
        let total = (content.payload + room * ENTRY).max(in_use);
        Sizes { total: total as u64, in_use: in_use as u64 }
    }
}

/// Above every id in use.
const NEWEST: ChangeId = ChangeId::last_of(Revision(i64::MAX));

/// Below every id in use.
const OLDEST: ChangeId = ChangeId { revision: Revision(i64::MIN), sub: 0 };
