//! How many keys a range has, without walking them: a sparse index over the live keys.
//!
//! ```text
//!  bounds   ""        "d"       "k"       "t"            one group per few hundred keys
//!  counts   256       301       256       77
//!           └── range "b".."p" ──┘                       whole groups: one sum;  the two ends: a walk of one group
//! ```
//!
//! Invariants: the first bound is empty; bounds ascend; a group counts the keys live at `revision` from its bound up to
//! the next; it follows an entry in one step with the engine's write. Derived from `Live`: in no checkpoint, hash or
//! comparison. An engine that outlives the process keeps the groups too, so that a start walks no keys.

use std::collections::BTreeSet;

use bytes::Bytes;
use internal_proto::{KeyRange, RangeEnd, Revision};

use crate::engine::loading::after;
use crate::engine::{Batch, CHUNK, CountGroup, Engine, NewVersion};

/// Keys in a new group. Few in tests, so that groups split and merge.
const GROUP: usize = if cfg!(test) { 4 } else { 256 };

/// A group with more keys is split.
const CROWDED: u64 = 2 * GROUP as u64;

/// Two neighbours with fewer keys together become one.
const SPARSE: u64 = GROUP as u64 / 2;

/// The counted index.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    revision: Revision,
    bounds: Vec<Bytes>,
    counts: Vec<u64>,
    /// Partial sums over `counts` (a Fenwick tree).
    sums: Vec<u64>,
}

/// The whole groups within a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Covered {
    /// The keys they span.
    pub(crate) span: KeyRange,
    /// How many of them are live.
    pub(crate) count: u64,
    /// At this revision.
    pub(crate) revision: Revision,
}

impl Counts {
    /// Takes the groups that an engine keeps; counts its live keys where it keeps none.
    pub(crate) fn open(engine: &dyn Engine, revision: Revision) -> Self {
        let Some(groups) = engine.counts() else { return Self::build(engine, revision) };
        if groups.is_empty() {
            let built = Self::build(engine, revision);
            let counts = built.groups(&built.bounds.iter().cloned().collect());
            engine.write(&Batch { counts, ..Batch::default() });
            return built;
        }
        let counts = groups.iter().map(|group| group.count.unwrap_or_default()).collect();
        let bounds = groups.into_iter().map(|group| group.bound).collect();
        let mut kept = Self { revision, bounds, counts, sums: Vec::new() };
        kept.sum_up();
        kept
    }

    fn build(engine: &dyn Engine, revision: Revision) -> Self {
        let mut counts = Self { revision, bounds: vec![Bytes::new()], counts: vec![0], sums: Vec::new() };
        let mut range = KeyRange::all();
        loop {
            let chunk = engine.scan_live(&range, CHUNK);
            for version in &chunk {
                let last = counts.counts.last_mut().expect("the first group is always there");
                if *last == GROUP as u64 {
                    counts.bounds.push(Bytes::copy_from_slice(version.kv.key()));
                    counts.counts.push(1);
                } else {
                    *last += 1;
                }
            }
            match chunk.last() {
                Some(last) if chunk.len() == CHUNK => range.start = after(last.kv.key()),
                _ => break,
            }
        }
        counts.sum_up();
        counts
    }

    /// Follows an entry that the engine is about to write. Returns the groups that it changes.
    pub(crate) fn follow(
        &mut self,
        engine: &dyn Engine,
        versions: &[NewVersion],
        revision: Revision,
    ) -> Vec<CountGroup> {
        self.revision = revision;
        let mut touched = BTreeSet::new();
        // Before the counts change: as long as they are those of the engine's keys.
        for new in versions.iter().filter(|new| new.previous.is_none()) {
            self.split(engine, new.version.kv.key(), &mut touched);
        }
        for new in versions {
            let key = new.version.kv.key();
            match (new.previous.is_some(), new.version.is_tombstone()) {
                (false, false) => self.change(key, true, &mut touched),
                (true, true) => self.change(key, false, &mut touched),
                _ => {}
            }
        }
        self.groups(&touched)
    }

    /// The groups with these bounds, as they are now.
    fn groups(&self, bounds: &BTreeSet<Bytes>) -> Vec<CountGroup> {
        let count = |bound: &Bytes| self.bounds.binary_search(bound).ok().map(|group| self.counts[group]);
        bounds.iter().map(|bound| CountGroup { bound: bound.clone(), count: count(bound) }).collect()
    }

    /// The whole groups within a range, if there are any.
    pub(crate) fn covered(&self, range: &KeyRange) -> Option<Covered> {
        let first = self.bounds.partition_point(|bound| *bound < range.start);
        let end = match &range.end {
            RangeEnd::Single => return None,
            RangeEnd::Before(end) => self.bounds.partition_point(|bound| bound <= end) - 1,
            RangeEnd::Unbounded => self.bounds.len(),
        };
        if first >= end {
            return None;
        }
        let span_end = self.bounds.get(end).map_or(RangeEnd::Unbounded, |bound| RangeEnd::Before(bound.clone()));
        let span = KeyRange { start: self.bounds[first].clone(), end: span_end };
        Some(Covered { span, count: self.sum(end) - self.sum(first), revision: self.revision })
    }

    /// At least as many keys as a range has: those of all groups that reach into it.
    pub(crate) fn at_most(&self, range: &KeyRange) -> u64 {
        let end = match &range.end {
            RangeEnd::Single => return 1,
            RangeEnd::Before(end) => self.bounds.partition_point(|bound| bound < end),
            RangeEnd::Unbounded => self.bounds.len(),
        };
        let first = self.group(&range.start);
        if first < end { self.sum(end) - self.sum(first) } else { 0 }
    }

    fn group(&self, key: &[u8]) -> usize {
        self.bounds.partition_point(|bound| bound[..] <= *key) - 1
    }

    fn change(&mut self, key: &[u8], created: bool, touched: &mut BTreeSet<Bytes>) {
        let group = self.group(key);
        touched.insert(self.bounds[group].clone());
        let count = &mut self.counts[group];
        if created {
            *count += 1;
        } else {
            *count -= 1;
        }
        let mut at = group + 1;
        while at <= self.sums.len() {
            let sum = &mut self.sums[at - 1];
            if created {
                *sum += 1;
            } else {
                *sum -= 1;
            }
            at += lowest_bit(at);
        }
        if !created {
            self.merge(group, touched);
        }
    }

    fn merge(&mut self, group: usize, touched: &mut BTreeSet<Bytes>) {
        let Some(&next) = self.counts.get(group + 1) else { return };
        if self.counts[group] + next < SPARSE {
            self.counts[group] += next;
            self.counts.remove(group + 1);
            touched.insert(self.bounds.remove(group + 1));
            self.sum_up();
        }
    }

    /// Splits the group of a key until no part is crowded. The engine's keys tell where.
    fn split(&mut self, engine: &dyn Engine, key: &[u8], touched: &mut BTreeSet<Bytes>) {
        let group = self.group(key);
        if self.counts[group] <= CROWDED {
            return;
        }
        let end = self.bounds.get(group + 1).map_or(RangeEnd::Unbounded, |bound| RangeEnd::Before(bound.clone()));
        let mut range = KeyRange { start: self.bounds[group].clone(), end };
        let mut left = self.counts[group];
        let (mut bounds, mut counts) = (Vec::new(), Vec::new());
        while left > CROWDED {
            let chunk = engine.scan_live(&range, GROUP + 1);
            range.start = Bytes::copy_from_slice(chunk[GROUP].kv.key());
            bounds.push(range.start.clone());
            counts.push(GROUP as u64);
            left -= GROUP as u64;
        }
        counts.push(left);
        touched.insert(self.bounds[group].clone());
        touched.extend(bounds.iter().cloned());
        self.bounds.splice(group + 1..group + 1, bounds);
        self.counts.splice(group..=group, counts);
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.sums = self.counts.clone();
        for at in 1..=self.sums.len() {
            let parent = at + lowest_bit(at);
            if parent <= self.sums.len() {
                self.sums[parent - 1] += self.sums[at - 1];
            }
        }
    }

    /// The sum of the first `groups` groups.
    fn sum(&self, groups: usize) -> u64 {
        let mut at = groups;
        let mut sum = 0;
        while at > 0 {
            sum += self.sums[at - 1];
            at -= lowest_bit(at);
        }
        sum
    }
}

const fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}
