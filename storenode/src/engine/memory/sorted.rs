//! Versions in key order, 24 bytes each beside the version itself.
//!
//! ```text
//!  bound ──► Block { prefix "/registry/pods/", entries [tag|kv|sub] [tag|kv|sub] ... up to 128 }
//!  bound ──► Block { ... }            │
//!                                     └─ the 8 key bytes after the prefix: most comparisons follow no pointer
//! ```
//!
//! Invariants: every entry of a block is at or above the block's bound and below the next block's; the first block's
//! bound is empty and always there; all keys of a block begin with its prefix.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use internal_proto::KeyValue;

use crate::engine::Version;
use crate::engine::keys::{ChangeId, Record};

/// Entries per block: 3 KiB, which an insertion shifts in tens of nanoseconds.
const BLOCK: usize = 128;

/// A block below this size joins the one before it if both fit well.
const SPARSE: usize = BLOCK / 4;

/// What tells the entries of a container apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// One entry per key.
    Key,
    /// Many entries per key, the newest first.
    KeyThenNewest,
}

/// Versions in key order.
#[derive(Debug)]
pub(super) struct Sorted {
    order: Order,
    blocks: BTreeMap<Box<[u8]>, Block>,
}

#[derive(Debug, Default)]
struct Block {
    prefix: Box<[u8]>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    tag: u64,
    kv: KeyValue,
    sub: u32,
}

impl Entry {
    fn id(&self) -> ChangeId {
        ChangeId { revision: self.kv.mod_revision(), sub: self.sub }
    }

    fn version(&self) -> Version {
        Version { id: self.id(), kv: self.kv.clone() }
    }
}

impl Sorted {
    pub(super) fn new(order: Order) -> Self {
        Self { order, blocks: BTreeMap::from([(Box::default(), Block::default())]) }
    }

    /// How many blocks there are: each holds room for [`BLOCK`] entries.
    pub(super) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    fn bound<'a>(&self, key: &'a [u8], id: ChangeId) -> Cow<'a, [u8]> {
        match self.order {
            Order::Key => Cow::Borrowed(key),
            Order::KeyThenNewest => Cow::Owned(Record::Version(Bytes::copy_from_slice(key), Reverse(id)).encode()),
        }
    }

    /// Puts a version in its place; gives back the one that stood there.
    pub(super) fn insert(&mut self, version: &Version) -> Option<Version> {
        let order = self.order;
        let key = version.kv.key();
        let bound = self.bound(key, version.id);
        let (_, block) = self.blocks.range_mut::<[u8], _>(up_to(&bound)).next_back().expect("the first bound is empty");
        let at = match block.search(order, key, version.id) {
            Ok(at) => {
                let entry = &mut block.entries[at];
                let old = entry.version();
                entry.kv = version.kv.clone();
                entry.sub = version.id.sub;
                return Some(old);
            }
            Err(at) => at,
        };
        if block.entries.len() < BLOCK {
            block.insert(at, version);
            return None;
        }
        // A key behind all others starts a block of its own, so that ascending keys fill their blocks.
        let split = if at == BLOCK { BLOCK } else { BLOCK / 2 };
        let mut upper = block.split(split);
        if at < split {
            block.insert(at, version);
        } else {
            upper.insert(at - split, version);
        }
        let first = &upper.entries[0];
        let bound = self.bound(first.kv.key(), first.id()).into();
        self.blocks.insert(bound, upper);
        None
    }

    /// Takes a version out; in an order by key alone the id does not matter.
    pub(super) fn remove(&mut self, key: &[u8], id: ChangeId) -> Option<Version> {
        let order = self.order;
        let target = self.bound(key, id);
        let mut around = self.blocks.range_mut::<[u8], _>(up_to(&target));
        let (bound, block) = around.next_back().expect("the first bound is empty");
        let at = block.search(order, key, id).ok()?;
        let entry = block.entries.remove(at);
        if block.entries.len() < SPARSE && !bound.is_empty() {
            let (_, before) = around.next_back().expect("the first bound is empty");
            if before.entries.len() + block.entries.len() <= BLOCK / 2 || block.entries.is_empty() {
                before.append(block);
                let bound = bound.clone();
                self.blocks.remove(&bound);
            }
        }
        Some(entry.version())
    }

    /// The version of a key, in an order by key alone.
    pub(super) fn get(&self, key: &[u8]) -> Option<Version> {
        let (_, block) = self.blocks.range::<[u8], _>(up_to(key)).next_back()?;
        let at = block.search(self.order, key, ChangeId::default()).ok()?;
        Some(block.entries[at].version())
    }

    /// Everything at or after a place.
    pub(super) fn seek(&self, key: &[u8], id: ChangeId) -> Cursor<'_> {
        let target = self.bound(key, id);
        let (bound, block) =
            self.blocks.range::<[u8], _>(up_to(&target)).next_back().expect("the first bound is empty");
        let (Ok(at) | Err(at)) = block.search(self.order, key, id);
        Cursor { blocks: &self.blocks, bound, rest: block.entries[at..].iter() }
    }
}

impl Block {
    /// Where an entry is, or where it would be.
    fn search(&self, order: Order, key: &[u8], id: ChangeId) -> Result<usize, usize> {
        let Some(rest) = key.strip_prefix(&*self.prefix) else {
            return Err(if *key < *self.prefix { 0 } else { self.entries.len() });
        };
        let wanted = tag(rest);
        self.entries.binary_search_by(|entry| {
            entry.tag.cmp(&wanted).then_with(|| entry.kv.key().cmp(key)).then_with(|| match order {
                Order::Key => Ordering::Equal,
                Order::KeyThenNewest => id.cmp(&entry.id()),
            })
        })
    }

    fn insert(&mut self, at: usize, version: &Version) {
        let key = version.kv.key();
        if self.entries.is_empty() {
            self.prefix = key.into();
        } else if !key.starts_with(&self.prefix) {
            self.set_prefix(shared(&self.prefix, key));
        }
        let tag = tag(&key[self.prefix.len()..]);
        self.entries.insert(at, Entry { tag, kv: version.kv.clone(), sub: version.id.sub });
    }

    fn set_prefix(&mut self, length: usize) {
        self.prefix = self.entries.first().map_or_else(Box::default, |entry| entry.kv.key()[..length].into());
        for entry in &mut self.entries {
            entry.tag = tag(&entry.kv.key()[length..]);
        }
    }

    /// Chooses the longest prefix again: the first and the last key share what all share.
    fn fit_prefix(&mut self) {
        if let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) {
            let length = shared(first.kv.key(), last.kv.key());
            self.set_prefix(length);
        }
    }

    fn split(&mut self, at: usize) -> Self {
        let mut entries = Vec::with_capacity(BLOCK);
        entries.extend(self.entries.drain(at..));
        let mut upper = Self { prefix: Box::default(), entries };
        upper.fit_prefix();
        if at < BLOCK {
            self.fit_prefix();
        }
        upper
    }

    fn append(&mut self, other: &mut Self) {
        self.entries.append(&mut other.entries);
        self.fit_prefix();
    }
}

/// The first 8 bytes as a number: its order is theirs, except that ties remain to be decided by the whole key.
fn tag(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = bytes.len().min(8);
    head[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(head)
}

fn up_to(bound: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(bound))
}

fn shared(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

/// Walks versions in order.
pub(super) struct Cursor<'a> {
    blocks: &'a BTreeMap<Box<[u8]>, Block>,
    bound: &'a [u8],
    rest: std::slice::Iter<'a, Entry>,
}

/// A version in its container.
#[derive(Clone, Copy)]
pub(super) struct Found<'a>(&'a Entry);

impl<'a> Found<'a> {
    pub(super) fn key(&self) -> &'a [u8] {
        self.0.kv.key()
    }

    pub(super) fn id(&self) -> ChangeId {
        self.0.id()
    }

    pub(super) fn version(&self) -> Version {
        self.0.version()
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        loop {
            if let Some(entry) = self.rest.next() {
                return Some(Found(entry));
            }
            let after = (Bound::Excluded(self.bound), Bound::Unbounded);
            let (bound, block) = self.blocks.range::<[u8], _>(after).next()?;
            self.bound = bound;
            self.rest = block.entries.iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use internal_proto::{KeyValueFields, Revision};
    use proptest::prelude::*;

    fn version(key: &[u8], revision: i64) -> Version {
        let revision = Revision(revision);
        let fields = KeyValueFields { key, mod_revision: revision, version: 1, ..KeyValueFields::default() };
        Version { id: ChangeId { revision, sub: 0 }, kv: KeyValue::new(&fields) }
    }

    /// Few long shared prefixes and few tails, so that tags tie, prefixes shrink and blocks split.
    fn step() -> impl Strategy<Value = (bool, Vec<u8>, i64)> {
        let prefix = prop_oneof![Just(&b""[..]), Just(&b"/registry/pods/"[..]), Just(&b"/registry/pods/default/x"[..])];
        let tail = proptest::collection::vec(prop_oneof![Just(0_u8), Just(b'a'), Just(b'b')], 1..7);
        (proptest::bool::weighted(0.7), prefix, tail, 0_i64..6)
            .prop_map(|(put, prefix, tail, revision)| (put, [prefix, &tail].concat(), revision))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_an_ordered_map(steps in proptest::collection::vec(step(), 1..900), probe in step()) {
            let mut by_key = Sorted::new(Order::Key);
            let mut by_age = Sorted::new(Order::KeyThenNewest);
            let mut keys = BTreeMap::new();
            let mut ages = BTreeMap::new();
            for (put, key, revision) in steps {
                let new = version(&key, revision);
                if put {
                    prop_assert_eq!(by_key.insert(&new), keys.insert(key.clone(), new.clone()));
                    prop_assert_eq!(by_age.insert(&new), ages.insert((key, Reverse(new.id)), new));
                } else {
                    prop_assert_eq!(by_key.remove(&key, new.id), keys.remove(&key));
                    prop_assert_eq!(by_age.remove(&key, new.id), ages.remove(&(key, Reverse(new.id))));
                }
            }
            let (_, key, revision) = probe;
            let id = ChangeId { revision: Revision(revision), sub: 0 };
            prop_assert_eq!(by_key.get(&key), keys.get(&key).cloned());
            let found: Vec<_> = by_key.seek(&key, id).map(|found| found.version()).collect();
            prop_assert_eq!(found, keys.range(key.clone()..).map(|(_, version)| version.clone()).collect::<Vec<_>>());
            let found: Vec<_> = by_age.seek(&key, id).map(|found| found.version()).collect();
            let expected: Vec<_> = ages.range((key, Reverse(id))..).map(|(_, version)| version.clone()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
