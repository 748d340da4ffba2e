//! Every record on disk, one enum, and its place in byte order.
//!
//! ```text
//!  Format    0
//!  Live      1 key
//!  Version   2 key ‖ !revision ‖ !sub       newest first within a key
//!  Change    3 revision ‖ sub
//!  Small     4 kind ‖ its own fields
//!  Count     5 key
//!
//!  key        escaped: 0x00 → 0x00 0xFF, and 0x00 0x01 at the end
//!  numbers    big-endian; of signed ones the sign bit flipped
//! ```
//!
//! Invariant: the order of the encoded bytes is the order of the fields, and no encoded key is a prefix of another.
//! The numbers and layouts are on disk: they never change their meaning.

use std::cmp::Reverse;

use bytes::Bytes;
use internal_proto::{LeaseId, MemberId, Revision, SessionId};

/// A change's place in history: the revision, and the place among the changes of that revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId {
    /// The revision.
    pub revision: Revision,
    /// From 0.
    pub sub: u32,
}

impl ChangeId {
    /// Below every change of a revision, and not below any change before it.
    #[must_use]
    pub const fn before(revision: Revision) -> Self {
        Self::last_of(Revision(revision.0 - 1))
    }

    /// Not below any change of a revision, and below every change after it.
    #[must_use]
    pub const fn last_of(revision: Revision) -> Self {
        Self { revision, sub: u32::MAX }
    }

    /// The greatest id below this one.
    #[must_use]
    pub const fn previous(self) -> Self {
        match self.sub.checked_sub(1) {
            Some(sub) => Self { revision: self.revision, sub },
            None => Self::before(self.revision),
        }
    }
}

/// The key of one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// What wrote the others, and whose they are.
    Format,
    /// A key's current version.
    Live(Bytes),
    /// A superseded version or tombstone of a key.
    Version(Bytes, Reverse<ChangeId>),
    /// A retained version by its place in history.
    Change(ChangeId),
    /// Anything that has no history.
    Small(SmallKey),
    /// A group of the counted index, by the least key it can hold.
    Count(Bytes),
}

/// The kinds of records: the first byte of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordFamily {
    /// [`Record::Format`].
    Format = 0,
    /// [`Record::Live`].
    Live = 1,
    /// [`Record::Version`].
    Version = 2,
    /// [`Record::Change`].
    Change = 3,
    /// [`Record::Small`].
    Small = 4,
    /// [`Record::Count`].
    Count = 5,
}

impl RecordFamily {
    /// Above every record of the family, and not above any of the next.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        vec![self as u8 + 1]
    }

    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Format,
            1 => Self::Live,
            2 => Self::Version,
            3 => Self::Change,
            4 => Self::Small,
            5 => Self::Count,
            _ => return None,
        })
    }
}

/// The kinds of small records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SmallKind {
    /// How far the state has come.
    Position = 1,
    /// The raft members as raft sees them.
    ConfState = 2,
    /// A lease.
    Lease = 3,
    /// A key attached to a lease.
    LeaseKey = 4,
    /// A member of the cluster.
    Member = 5,
    /// A gateway's session.
    Session = 6,
    /// An answer that a session remembers.
    SessionAnswer = 7,
    /// How far compaction has come here.
    CompactionDone = 8,
}

/// The key of one small record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SmallKey {
    /// The one position.
    Position,
    /// The one membership.
    ConfState,
    /// A lease.
    Lease(LeaseId),
    /// A key attached to a lease. Derived from the live versions: in no checkpoint.
    LeaseKey(LeaseId, Bytes),
    /// A member.
    Member(MemberId),
    /// A session.
    Session(SessionId),
    /// The answer to one numbered write of a session.
    SessionAnswer(SessionId, u64),
    /// The one mark of compaction. This engine's own: in no checkpoint.
    CompactionDone,
}

impl SmallKey {
    /// The kind of the record.
    #[must_use]
    pub const fn kind(&self) -> SmallKind {
        match self {
            Self::Position => SmallKind::Position,
            Self::ConfState => SmallKind::ConfState,
            Self::Lease(_) => SmallKind::Lease,
            Self::LeaseKey(..) => SmallKind::LeaseKey,
            Self::Member(_) => SmallKind::Member,
            Self::Session(_) => SmallKind::Session,
            Self::SessionAnswer(..) => SmallKind::SessionAnswer,
            Self::CompactionDone => SmallKind::CompactionDone,
        }
    }
}

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const END_OF_KEY: u8 = 0x01;

impl Record {
    /// The record's key on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.push(self.family() as u8);
        match self {
            Self::Format => {}
            Self::Live(key) | Self::Count(key) => put_key(&mut out, key),
            Self::Version(key, Reverse(id)) => {
                put_key(&mut out, key);
                out.extend((!signed(id.revision.0)).to_be_bytes());
                out.extend((!id.sub).to_be_bytes());
            }
            Self::Change(id) => {
                out.extend(signed(id.revision.0).to_be_bytes());
                out.extend(id.sub.to_be_bytes());
            }
            Self::Small(key) => key.put(&mut out),
        }
        out
    }

    const fn family(&self) -> RecordFamily {
        match self {
            Self::Format => RecordFamily::Format,
            Self::Live(_) => RecordFamily::Live,
            Self::Version(..) => RecordFamily::Version,
            Self::Change(_) => RecordFamily::Change,
            Self::Small(_) => RecordFamily::Small,
            Self::Count(_) => RecordFamily::Count,
        }
    }

    /// Reads a key back; `None` for bytes that no record encodes to.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&family, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let record = match RecordFamily::of(family)? {
            RecordFamily::Format => Self::Format,
            RecordFamily::Live => Self::Live(take_key(rest)?),
            RecordFamily::Version => {
                let key = take_key(rest)?;
                let revision = Revision(unsigned(!take_u64(rest)?));
                Self::Version(key, Reverse(ChangeId { revision, sub: !take_u32(rest)? }))
            }
            RecordFamily::Change => {
                Self::Change(ChangeId { revision: Revision(unsigned(take_u64(rest)?)), sub: take_u32(rest)? })
            }
            RecordFamily::Small => Self::Small(SmallKey::take(rest)?),
            RecordFamily::Count => Self::Count(take_key(rest)?),
        };
        rest.is_empty().then_some(record)
    }
}

impl SmallKey {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.kind() as u8);
        match self {
            Self::Position | Self::ConfState | Self::CompactionDone => {}
            Self::Lease(id) => out.extend(signed(id.0).to_be_bytes()),
            Self::LeaseKey(id, key) => {
                out.extend(signed(id.0).to_be_bytes());
                put_key(out, key);
            }
            Self::Member(id) => out.extend(id.0.to_be_bytes()),
            Self::Session(id) => out.extend(id.0.to_be_bytes()),
            Self::SessionAnswer(id, sequence) => {
                out.extend(id.0.to_be_bytes());
                out.extend(sequence.to_be_bytes());
            }
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(match kind {
            1 => Self::Position,
            2 => Self::ConfState,
            3 => Self::Lease(LeaseId(unsigned(take_u64(bytes)?))),
            4 => Self::LeaseKey(LeaseId(unsigned(take_u64(bytes)?)), take_key(bytes)?),
            5 => Self::Member(MemberId(take_u64(bytes)?)),
            6 => Self::Session(SessionId(take_u64(bytes)?)),
            7 => Self::SessionAnswer(SessionId(take_u64(bytes)?), take_u64(bytes)?),
            8 => Self::CompactionDone,
            _ => return None,
        })
    }

    /// The least key of a kind.
    #[must_use]
    pub const fn first(kind: SmallKind) -> Self {
        match kind {
            SmallKind::Position => Self::Position,
            SmallKind::ConfState => Self::ConfState,
            SmallKind::Lease => Self::Lease(LeaseId(i64::MIN)),
            SmallKind::LeaseKey => Self::LeaseKey(LeaseId(i64::MIN), Bytes::new()),
            SmallKind::Member => Self::Member(MemberId(0)),
            SmallKind::Session => Self::Session(SessionId(0)),
            SmallKind::SessionAnswer => Self::SessionAnswer(SessionId(0), 0),
            SmallKind::CompactionDone => Self::CompactionDone,
        }
    }
}

const fn signed(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

const fn unsigned(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

fn put_key(out: &mut Vec<u8>, key: &[u8]) {
    for &byte in key {
        out.push(byte);
        if byte == ESCAPE {
            out.push(ESCAPED_ZERO);
        }
    }
    out.extend([ESCAPE, END_OF_KEY]);
}

fn take_key(bytes: &mut &[u8]) -> Option<Bytes> {
    let mut key = Vec::with_capacity(bytes.len());
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        key.push(byte);
        if byte == ESCAPE {
            let (&mark, rest) = bytes.split_first()?;
            *bytes = rest;
            match mark {
                ESCAPED_ZERO => {}
                END_OF_KEY => {
                    key.pop();
                    return Some(key.into());
                }
                _ => return None,
            }
        }
    }
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_be_bytes(*head))
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Short keys of few byte values, so that prefixes and zeros are common.
    fn key() -> impl Strategy<Value = Bytes> {
        let byte = prop_oneof![Just(0x00), Just(0x01), Just(0xfe), Just(0xff), any::<u8>()];
        proptest::collection::vec(byte, 0..6).prop_map(Bytes::from)
    }

    fn change() -> impl Strategy<Value = ChangeId> {
        (any::<i64>(), any::<u32>()).prop_map(|(revision, sub)| ChangeId { revision: Revision(revision), sub })
    }

    fn small() -> impl Strategy<Value = SmallKey> {
        prop_oneof![
            Just(SmallKey::Position),
            Just(SmallKey::ConfState),
            Just(SmallKey::CompactionDone),
            any::<i64>().prop_map(|id| SmallKey::Lease(LeaseId(id))),
            (-2_i64..2, key()).prop_map(|(id, key)| SmallKey::LeaseKey(LeaseId(id), key)),
            any::<u64>().prop_map(|id| SmallKey::Member(MemberId(id))),
            any::<u64>().prop_map(|id| SmallKey::Session(SessionId(id))),
            (0_u64..3, any::<u64>()).prop_map(|(id, sequence)| SmallKey::SessionAnswer(SessionId(id), sequence)),
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        prop_oneof![
            Just(Record::Format),
            key().prop_map(Record::Live),
            key().prop_map(Record::Count),
            (key(), change()).prop_map(|(key, id)| Record::Version(key, Reverse(id))),
            change().prop_map(Record::Change),
            small().prop_map(Record::Small),
        ]
    }

    proptest! {
        #[test]
        fn byte_order_is_field_order(left in record(), right in record()) {
            let (left_bytes, right_bytes) = (left.encode(), right.encode());
            prop_assert_eq!(left_bytes.cmp(&right_bytes), left.cmp(&right));
            prop_assert!(left == right || !right_bytes.starts_with(&left_bytes));
        }

        #[test]
        fn records_survive_encoding(record in record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_canonical(bytes: Vec<u8>) {
            if let Some(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
