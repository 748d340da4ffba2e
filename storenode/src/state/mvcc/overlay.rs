//! What the commands of one entry have changed so far, key by key, laid over the engine for reading.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use internal_proto::{KeyRange, RangeEnd};

use crate::engine::{NewVersion, Version};

/// The keys that the entry touched.
#[derive(Debug, Default)]
pub(crate) struct Overlay(BTreeMap<Bytes, Slot>);

#[derive(Debug)]
pub(crate) struct Slot {
    /// The key's version now; `None` when it is deleted.
    pub(crate) now: Option<Version>,
    /// Whether the engine has the key live.
    pub(crate) before: bool,
}

impl Overlay {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Slot> {
        self.0.get(key)
    }

    pub(crate) fn record(&mut self, new: &NewVersion) {
        let now = (!new.version.is_tombstone()).then(|| new.version.clone());
        match self.0.get_mut(new.version.kv.key()) {
            Some(slot) => slot.now = now,
            None => {
                let key = Bytes::copy_from_slice(new.version.kv.key());
                self.0.insert(key, Slot { now, before: new.previous.is_some() });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The touched keys of a range.
    pub(crate) fn range(&self, range: &KeyRange) -> impl Iterator<Item = (&Bytes, &Slot)> {
        let end = match &range.end {
            RangeEnd::Single => Bound::Included(&range.start[..]),
            RangeEnd::Before(end) => Bound::Excluded(&end[..]),
            RangeEnd::Unbounded => Bound::Unbounded,
        };
        // An ordered map takes no inverted range.
        let start = if range.is_empty() { None } else { Some(Bound::Included(&range.start[..])) };
        start.into_iter().flat_map(move |start| self.0.range::<[u8], _>((start, end)))
    }
}
