//! Every record on disk, one enum, and its place in byte order.
//!
//! ```text
//!  Live      'L' key
//!  Version   'V' key ‖ !revision ‖ !sub       newest first within a key
//!  Change    'C' revision ‖ sub
//!  small     's' kind ‖ its own fields
//!
//!  key        escaped: 0x00 → 0x00 0xFF, and 0x00 0x01 at the end
//!  revisions  big-endian, the sign bit flipped
//! ```
//!
//! Invariant: the order of the encoded bytes is the order of the fields, and no encoded key is a prefix of another.
//! The letters and layouts are on disk: they never change their meaning.

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
        Self { revision: Revision(revision.0 - 1), sub: u32::MAX }
    }
}

/// The key of one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// A key's current version.
    Live(Bytes),
    /// A superseded version or tombstone of a key.
    Version(Bytes, ChangeId),
    /// A retained version by its place in history.
    Change(ChangeId),
    /// Anything that has no history.
    Small(SmallKey),
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
        }
    }
}
