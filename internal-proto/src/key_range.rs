//! A range of keys: the single home of etcd's `range_end` rules.
//!
//! ```text
//!  range_end   meaning            here
//!  ""          the key alone      RangeEnd::Single
//!  "\0"        from the key on    RangeEnd::Unbounded
//!  other       [key, range_end)   RangeEnd::Before, empty when range_end <= key
//! ```

use bytes::Bytes;

/// The keys from `start` up to `end`, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyRange {
    /// The first key that can be in the range.
    pub start: Bytes,
    /// Where the range ends.
    pub end: RangeEnd,
}

/// Where a range ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RangeEnd {
    /// The range holds its start alone.
    #[default]
    Single,
    /// The range ends before this key.
    Before(Bytes),
    /// The range never ends.
    Unbounded,
}

impl KeyRange {
    /// The range that etcd's `key` and `range_end` fields mean.
    #[must_use]
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        let end = match range_end.as_ref() {
            b"" => RangeEnd::Single,
            b"\0" => RangeEnd::Unbounded,
            _ => RangeEnd::Before(range_end),
        };
        Self { start: key, end }
    }

    /// etcd's `range_end` field for this range.
    #[must_use]
    pub fn wire_end(&self) -> Bytes {
        match &self.end {
            RangeEnd::Single => Bytes::new(),
            RangeEnd::Before(end) => end.clone(),
            RangeEnd::Unbounded => Bytes::from_static(b"\0"),
        }
    }

    /// The range of one key.
    #[must_use]
    pub const fn single(key: Bytes) -> Self {
        Self { start: key, end: RangeEnd::Single }
    }

    /// Every key there can be.
    #[must_use]
    pub const fn all() -> Self {
        Self { start: Bytes::new(), end: RangeEnd::Unbounded }
    }

    /// Whether the range holds its start alone.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        matches!(self.end, RangeEnd::Single)
    }

    /// Whether no key can be in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, RangeEnd::Before(end) if *end <= self.start)
    }

    /// Whether `key` is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key == self.start.as_ref(),
            RangeEnd::Before(end) => key >= self.start.as_ref() && key < end.as_ref(),
            RangeEnd::Unbounded => key >= self.start.as_ref(),
        }
    }

    /// Whether a key beyond every key of the range: a scan in key order can stop at it.
    #[must_use]
    pub fn is_past(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key > self.start.as_ref(),
            RangeEnd::Before(end) => key >= end.as_ref(),
            RangeEnd::Unbounded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static [u8], end: &'static [u8]) -> KeyRange {
        KeyRange::from_wire(Bytes::from_static(key), Bytes::from_static(end))
    }

    #[test]
    fn range_end_has_etcds_meanings() {
        assert!(range(b"a", b"").contains(b"a") && !range(b"a", b"").contains(b"a\0"));
        assert!(range(b"a", b"c").contains(b"b") && !range(b"a", b"c").contains(b"c"));
        assert!(range(b"b", b"\0").contains(b"zz") && !range(b"b", b"\0").contains(b"a"));
        assert!(range(b"b", b"a").is_empty() && range(b"b", b"b").is_empty());
        assert!(!range(b"b", b"").is_empty() && !range(b"b", b"\0").is_empty());
    }

    #[test]
    fn a_scan_stops_at_the_first_key_past_the_range() {
        assert!(range(b"a", b"").is_past(b"a\0") && !range(b"a", b"").is_past(b"a"));
        assert!(range(b"a", b"c").is_past(b"c") && !range(b"a", b"\0").is_past(b"\xff"));
    }
}
