//! Whether a branch of a transaction changes a key twice: two puts of it, or a put and a deletion of its range.
//!
//! ```text
//!  deletions of this level ─► nested branches, one after the other ─► puts of this level
//! ```
//!
//! etcd's order is kept, and with it what it does not see: a deletion nested in a later operation is not compared with
//! puts nested in an earlier one; a deletion of everything from a key on (`range_end` = "\0") is taken literally and
//! covers nothing. Overlapping deletions are fine, and so are the two branches of one transaction.
//!
//! Invariant: the work is in proportion to n log n of the operations, whatever a client sends.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use bytes::Bytes;
use internal_proto::Error;
use proto::etcdserverpb::RequestOp;
use proto::etcdserverpb::request_op::Request;

/// Checks one branch and what is nested in it.
///
/// # Errors
/// [`Error::DuplicateKey`].
pub(super) fn check(operations: &[RequestOp]) -> Result<(), Error> {
    changes(operations).map(|_| ())
}

/// What a branch changes.
#[derive(Default)]
struct Changes<'a> {
    puts: HashSet<&'a [u8]>,
    deletions: Ranges,
}

impl<'a> Changes<'a> {
    /// Adds a put; `allowed` may have put the key before.
    fn put(&mut self, key: &'a [u8], allowed: Option<&HashSet<&'a [u8]>>) -> Result<(), Error> {
        let again = !self.puts.insert(key) && !allowed.is_some_and(|puts| puts.contains(key));
        if again || self.deletions.contain(key) { Err(Error::DuplicateKey) } else { Ok(()) }
    }
}

fn changes(operations: &[RequestOp]) -> Result<Changes<'_>, Error> {
    let mut all = Changes::default();
    for operation in operations {
        if let Some(Request::RequestDeleteRange(deletion)) = &operation.request {
            all.deletions.insert(&deletion.key, &deletion.range_end);
        }
    }
    for operation in operations {
        let Some(Request::RequestTxn(nested)) = &operation.request else { continue };
        let success = changes(&nested.success)?;
        let failure = changes(&nested.failure)?;
        for key in &success.puts {
            all.put(key, None)?;
        }
        for key in &failure.puts {
            all.put(key, Some(&success.puts))?;
        }
        all.deletions.extend(success.deletions);
        all.deletions.extend(failure.deletions);
    }
    for operation in operations {
        if let Some(Request::RequestPut(put)) = &operation.request {
            all.put(&put.key, None)?;
        }
    }
    Ok(all)
}

/// Ranges of keys, merged where they overlap: start → end (exclusive).
#[derive(Default)]
struct Ranges(BTreeMap<Vec<u8>, Vec<u8>>);

impl Ranges {
    fn insert(&mut self, key: &Bytes, range_end: &Bytes) {
        let end = if range_end.is_empty() { [key, &b"\0"[..]].concat() } else { range_end.to_vec() };
        self.merge(key.to_vec(), end);
    }

    fn extend(&mut self, other: Self) {
        for (start, end) in other.0 {
            self.merge(start, end);
        }
    }

    fn merge(&mut self, mut start: Vec<u8>, mut end: Vec<u8>) {
        if end <= start {
            return;
        }
        while let Some((before, before_end)) =
            self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(end.as_slice()))).next_back()
        {
            if *before_end < start {
                break;
            }
            let before = before.clone();
            let before_end = self.0.remove(&before).unwrap_or_default();
            start = start.min(before);
            end = end.max(before_end);
        }
        self.0.insert(start, end);
    }

    fn contain(&self, key: &[u8]) -> bool {
        self.0
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back()
            .is_some_and(|(_, end)| key < end.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_contain() {
        let mut ranges = Ranges::default();
        for (key, end) in [("a", "c"), ("x", ""), ("b", "e"), ("g", "h"), ("m", "\0"), ("z", "y")] {
            ranges.insert(&Bytes::from(key), &Bytes::from(end));
        }
        let contained: Vec<_> = ('a'..='z').filter(|key| ranges.contain(key.to_string().as_bytes())).collect();
        assert_eq!(contained, ['a', 'b', 'c', 'd', 'g', 'x']);
        assert_eq!(ranges.0.len(), 3);
    }
}
