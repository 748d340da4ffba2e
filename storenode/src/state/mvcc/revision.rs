//! Reading the keys as they were at one revision, in chunks, while the store moves on.
//!
//! ```text
//!  Live chunk ──► mod_revision ≤ r: that is it
//!             └─► > r, or deleted since: the newest Version ≤ r
//!
//!  keys touched since r: from Change over (r, now] when that is short, else from a scan of Version
//! ```
//!
//! Invariants: `Live` is read before what was touched since, so that a key superseded in between is found by the
//! second read; the revision is pinned, so that no version it needs is dropped; a chunk takes a bounded number of
//! records, however much has changed since.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use internal_proto::{KeyRange, RangeEnd, Revision};
use parking_lot::RwLock;

use super::count::Counts;
use super::overlay::Overlay;
use crate::engine::loading::after;
use crate::engine::{CHUNK, ChangeId, Engine, Version};

/// With at most so many revisions since, and not many changes in them, the touched keys are looked up in `Change`.
/// Small in tests, so that they cross it.
const RECENT: i64 = if cfg!(test) { 4 } else { 1_000 };

/// The keys at one revision, with what the entry being applied laid over them.
#[derive(Clone, Copy)]
pub(crate) struct AtRevision<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) counts: &'a RwLock<Counts>,
    pub(crate) at: Revision,
    pub(crate) overlay: &'a Overlay,
}

impl AtRevision<'_> {
    /// The version of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Version> {
        if let Some(slot) = self.overlay.get(key) {
            return slot.now.clone();
        }
        match self.engine.live(key) {
            Some(live) if live.id.revision <= self.at => Some(live),
            _ => self.superseded(key),
        }
    }

    fn superseded(&self, key: &[u8]) -> Option<Version> {
        self.engine.version(key, ChangeId::last_of(self.at)).filter(|version| !version.is_tombstone())
    }

    /// The first `limit` versions of a range in key order, all of them without a limit.
    pub(crate) fn range(&self, range: &KeyRange, limit: Option<usize>) -> Vec<Version> {
        let limit = limit.unwrap_or(usize::MAX);
        if range.is_single() {
            return self.get(&range.start).into_iter().take(limit).collect();
        }
        let mut found = Vec::new();
        self.chunks(range, limit, |chunk| {
            found.extend(chunk);
            found.len() < limit
        });
        found.truncate(limit);
        found
    }

    /// How many keys a range has.
    pub(crate) fn count(&self, range: &KeyRange) -> u64 {
        let mut count = self.base_count(range);
        for (_, slot) in self.overlay.range(range) {
            count += u64::from(slot.now.is_some());
            count -= u64::from(slot.before);
        }
        count
    }

    /// Hands chunks to `take` until it has enough.
    fn chunks(&self, range: &KeyRange, limit: usize, mut take: impl FnMut(Vec<Version>) -> bool) {
        let mut next = (!range.is_empty()).then(|| range.clone());
        while let Some(range) = next {
            let (chunk, rest) = self.base_chunk(&range, limit.min(CHUNK));
            let chunk = self.lay_over(&range, rest.as_ref(), chunk);
            next = if take(chunk) { rest } else { None };
        }
    }

    /// The engine's versions from the start of a range on, and what of the range is still to be read.
    fn base_chunk(&self, range: &KeyRange, limit: usize) -> (Vec<Version>, Option<KeyRange>) {
        let live = self.engine.scan_live(range, limit);
        let from = |last: &[u8]| KeyRange { start: after(last), end: range.end.clone() };
        let mut rest = live.last().filter(|_| live.len() == limit).map(|last| from(last.kv.key()));
        let now = self.engine.position().revision;
        if now == self.at {
            return (live, rest);
        }
        let covered = part_before(range, rest.as_ref());
        let touched = self.touched_lately(&covered, now).unwrap_or_else(|| {
            let page = self.engine.scan_versions(&covered, ChangeId::last_of(self.at), CHUNK);
            // The chunk ends where the page does.
            rest = page.stopped_at.map(|last| from(&last)).or(rest.take());
            page.versions.into_iter().filter(|version| !version.is_tombstone()).collect()
        });
        let covered = part_before(range, rest.as_ref());
        let live = live.into_iter().filter(|live| live.id.revision <= self.at && covered.contains(live.kv.key()));
        let keyed = |version: Version| (Bytes::copy_from_slice(version.kv.key()), version);
        let chunk: BTreeMap<Bytes, Version> = touched.into_iter().chain(live).map(keyed).collect();
        (chunk.into_values().collect(), rest)
    }

    /// The keys of the range that existed then and were superseded or deleted by now, as they were then; `None` if too
    /// much has changed since.
    fn touched_lately(&self, range: &KeyRange, now: Revision) -> Option<Vec<Version>> {
        if now.0 - self.at.0 > RECENT {
            return None;
        }
        let changes = self.engine.scan_changes(ChangeId::last_of(self.at), now, CHUNK);
        if changes.len() == CHUNK {
            return None;
        }
        let touched = changes.iter().map(|change| change.kv.key()).filter(|key| range.contains(key));
        let keys: BTreeSet<&[u8]> = touched.collect();
        Some(keys.into_iter().filter_map(|key| self.superseded(key)).collect())
    }

    /// Every change after this revision, through `now`.
    fn changes_since(&self, now: Revision, mut visit: impl FnMut(&Version)) {
        let mut last = ChangeId::last_of(self.at);
        loop {
            let changes = self.engine.scan_changes(last, now, CHUNK);
            changes.iter().for_each(&mut visit);
            match changes.last() {
                Some(change) if changes.len() == CHUNK => last = change.id,
                _ => return,
            }
        }
    }

    fn lay_over(&self, range: &KeyRange, rest: Option<&KeyRange>, chunk: Vec<Version>) -> Vec<Version> {
        if self.overlay.is_empty() {
            return chunk;
        }
        let covered = part_before(range, rest);
        let mut touched = self.overlay.range(&covered).peekable();
        if touched.peek().is_none() {
            return chunk;
        }
        let mut merged: BTreeMap<Bytes, Version> =
            chunk.into_iter().map(|version| (Bytes::copy_from_slice(version.kv.key()), version)).collect();
        for (key, slot) in touched {
            match &slot.now {
                Some(version) => drop(merged.insert(key.clone(), version.clone())),
                None => drop(merged.remove(key)),
            }
        }
        merged.into_values().collect()
    }

    fn base_count(&self, range: &KeyRange) -> u64 {
        if range.is_empty() {
            return 0;
        }
        if range.is_single() {
            let plain = AtRevision { overlay: &Overlay::default(), ..*self };
            return u64::from(plain.get(&range.start).is_some());
        }
        let Some(covered) = self.counts.read().covered(range) else { return self.walk(range) };
        let before = KeyRange { start: range.start.clone(), end: RangeEnd::Before(covered.span.start.clone()) };
        let mut count = self.walk(&before) + self.span_count(&covered.span, covered.count, covered.revision);
        if let RangeEnd::Before(end) = &covered.span.end {
            count += self.walk(&KeyRange { start: end.clone(), end: range.end.clone() });
        }
        count
    }

    /// The keys of a span that has `count` keys at revision `now`.
    fn span_count(&self, span: &KeyRange, count: u64, now: Revision) -> u64 {
        if (now.0 - self.at.0).cast_unsigned() > count {
            return self.walk(span);
        }
        let mut corrected = count.cast_signed();
        self.changes_since(now, |change| {
            if span.contains(change.kv.key()) {
                match change.kv.fields().version {
                    0 => corrected += 1,
                    1 => corrected -= 1,
                    _ => {}
                }
            }
        });
        u64::try_from(corrected).expect("no more keys were created since than there are")
    }

    fn walk(&self, range: &KeyRange) -> u64 {
        let plain = AtRevision { overlay: &Overlay::default(), ..*self };
        let mut count = 0;
        plain.chunks(range, CHUNK, |chunk| {
            count += chunk.len() as u64;
            true
        });
        count
    }
}

/// The part of a range before the rest that is still to be read.
fn part_before(range: &KeyRange, rest: Option<&KeyRange>) -> KeyRange {
    let end = rest.map_or_else(|| range.end.clone(), |rest| RangeEnd::Before(rest.start.clone()));
    KeyRange { start: range.start.clone(), end }
}
