//! Which watchers does a key concern? Asked once per event, however many watchers there are: by a storage node's hub
//! for the feeds of its gateways, by a gateway's hub for the ranges that a covering feed serves.
//!
//! ```text
//!            [g, p)  furthest: ∞        a treap by (start, end); each node knows the furthest end below it,
//!           ╱      ╲                    so a subtree that ends before the key is never entered
//!     [a, c)        [k, ∞)
//!   furthest: c     furthest: ∞         ranges of a single key are in a map beside it
//! ```
//!
//! Invariant: a query costs O(log n + matches) for ranges that nest little; the shape depends on the insertions alone.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::mem;

use bytes::Bytes;

use crate::{KeyRange, RangeEnd};

/// Values by range, queried by key.
#[derive(Debug)]
pub struct RangeIndex<V> {
    singles: HashMap<Bytes, Vec<V>>,
    root: Tree<V>,
    inserted: u64,
}

type Tree<V> = Option<Box<Node<V>>>;

#[derive(Debug)]
struct Node<V> {
    range: KeyRange,
    values: Vec<V>,
    priority: u64,
    furthest: RangeEnd,
    left: Tree<V>,
    right: Tree<V>,
}

impl<V> Default for RangeIndex<V> {
    fn default() -> Self {
        Self { singles: HashMap::new(), root: None, inserted: 0 }
    }
}

impl<V: Copy + PartialEq> RangeIndex<V> {
    /// Adds a value; a range may have several.
    pub fn insert(&mut self, range: &KeyRange, value: V) {
        if range.is_single() {
            self.singles.entry(range.start.clone()).or_insert_with(|| Vec::with_capacity(1)).push(value);
            return;
        }
        self.inserted += 1;
        insert(&mut self.root, range, value, spread(self.inserted));
    }

    /// Takes a value out of its range.
    pub fn remove(&mut self, range: &KeyRange, value: V) {
        if !range.is_single() {
            remove(&mut self.root, range, value);
        } else if let Some(values) = self.singles.get_mut(&range.start) {
            values.retain(|other| *other != value);
            if values.is_empty() {
                self.singles.remove(&range.start);
            }
        }
    }

    /// Whether nothing is watched at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.singles.is_empty() && self.root.is_none()
    }

    /// Gives every value whose range holds the key.
    pub fn matching(&self, key: &[u8], found: &mut Vec<V>) {
        if let Some(values) = self.singles.get(key) {
            found.extend_from_slice(values);
        }
        matching(&self.root, key, found);
    }
}

impl<V> Node<V> {
    fn update(&mut self) {
        let children = [&self.left, &self.right].into_iter().flatten().map(|child| &child.furthest);
        self.furthest = children.chain([&self.range.end]).max().cloned().unwrap_or_default();
    }
}

/// Spreads consecutive numbers over all of u64 (the finalizer of splitmix64): priorities without a random source.
const fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn insert<V>(tree: &mut Tree<V>, range: &KeyRange, value: V, priority: u64) {
    let Some(node) = tree else {
        let (range, furthest) = (range.clone(), range.end.clone());
        *tree = Some(Box::new(Node { range, values: vec![value], priority, furthest, left: None, right: None }));
        return;
    };
    match range.cmp(&node.range) {
        Ordering::Equal => return node.values.push(value),
        Ordering::Less => insert(&mut node.left, range, value, priority),
        Ordering::Greater => insert(&mut node.right, range, value, priority),
    }
    node.update();
    lift_higher_child(tree);
}

/// Restores the order of priorities where one child was just inserted or lifted.
fn lift_higher_child<V>(tree: &mut Tree<V>) {
    let Some(mut node) = tree.take() else { return };
    let higher = |child: &Tree<V>| child.as_ref().is_some_and(|child| child.priority > node.priority);
    let (from_left, from_right) = (higher(&node.left), higher(&node.right));
    let child = if from_left {
        node.left.take()
    } else if from_right {
        node.right.take()
    } else {
        None
    };
    let Some(mut child) = child else {
        *tree = Some(node);
        return;
    };
    if from_left {
        node.left = child.right.take();
        node.update();
        child.right = Some(node);
    } else {
        node.right = child.left.take();
        node.update();
        child.left = Some(node);
    }
    child.update();
    *tree = Some(child);
}

fn remove<V: PartialEq>(tree: &mut Tree<V>, range: &KeyRange, value: V) {
    let Some(node) = tree else { return };
    match range.cmp(&node.range) {
        Ordering::Less => remove(&mut node.left, range, value),
        Ordering::Greater => remove(&mut node.right, range, value),
        Ordering::Equal => {
            node.values.retain(|other| *other != value);
            if node.values.is_empty() {
                let (left, right) = (node.left.take(), node.right.take());
                *tree = join(left, right);
            }
            return;
        }
    }
    node.update();
}

/// One tree of two, where every range on the left is below every range on the right.
fn join<V>(left: Tree<V>, right: Tree<V>) -> Tree<V> {
    match (left, right) {
        (Some(mut left), Some(right)) if left.priority > right.priority => {
            let inner = mem::take(&mut left.right);
            left.right = join(inner, Some(right));
            left.update();
            Some(left)
        }
        (Some(left), Some(mut right)) => {
            let inner = mem::take(&mut right.left);
            right.left = join(Some(left), inner);
            right.update();
            Some(right)
        }
        (left, right) => left.or(right),
    }
}

fn matching<V: Copy>(tree: &Tree<V>, key: &[u8], found: &mut Vec<V>) {
    let Some(node) = tree else { return };
    if matches!(&node.furthest, RangeEnd::Before(end) if end.as_ref() <= key) {
        return;
    }
    matching(&node.left, key, found);
    if node.range.start.as_ref() <= key {
        if node.range.contains(key) {
            found.extend_from_slice(&node.values);
        }
        matching(&node.right, key, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(0_u8..4, 0..4).prop_map(Bytes::from)
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        (key(), prop_oneof![Just(RangeEnd::Single), Just(RangeEnd::Unbounded), key().prop_map(RangeEnd::Before)])
            .prop_map(|(start, end)| KeyRange { start, end })
    }

    proptest! {
        #[test]
        fn finds_what_looking_at_every_range_finds(
            steps in proptest::collection::vec((range(), any::<bool>(), any::<prop::sample::Index>()), 1..60),
            keys in proptest::collection::vec(key(), 1..20),
        ) {
            let mut index = RangeIndex::default();
            let mut all: Vec<(KeyRange, usize)> = Vec::new();
            for (number, (range, take_out, which)) in steps.into_iter().enumerate() {
                if take_out && !all.is_empty() {
                    let (range, value) = all.remove(which.index(all.len()));
                    index.remove(&range, value);
                } else {
                    index.insert(&range, number);
                    all.push((range, number));
                }
            }
            prop_assert_eq!(index.is_empty(), all.is_empty());
            for key in keys {
                let mut found = Vec::new();
                index.matching(&key, &mut found);
                found.sort_unstable();
                let expected: Vec<usize> =
                    all.iter().filter(|(range, _)| range.contains(&key)).map(|(_, value)| *value).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
