//! What goes into the log and what comes back.

use bytes::Bytes;
use internal_proto::{LogIndex, MemberId, Term};

use super::recovery::Cut;
use crate::identity::Identity;

/// How a log is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whose log it must be.
    pub identity: Identity,
    /// Size of new segments; existing ones keep theirs. [`super::SEGMENT_BYTES`] outside of tests.
    pub segment_bytes: u32,
}

/// One raft entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub index: LogIndex,
    /// The term of the leader that proposed it.
    pub term: Term,
    /// How raft takes it.
    pub kind: EntryKind,
    /// What was proposed.
    pub data: Bytes,
}

/// Raft's entry types; the numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Commands, or nothing: a new leader's first entry.
    Normal = 0,
    /// A change of one member.
    ConfChange = 1,
    /// A change of several members at once.
    ConfChangeV2 = 2,
}

/// What raft must remember besides entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term seen.
    pub term: Term,
    /// Who got this member's vote in it; 0: nobody.
    pub vote: MemberId,
    /// Entries through here are known committed.
    pub commit: LogIndex,
}

/// The log begins anew, after a snapshot that holds everything through `index`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The last entry in the snapshot.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// The membership at that entry, as raft encodes it.
    pub conf_state: Bytes,
}

/// What can be appended.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// Consecutive entries.
    Entries(&'a [Entry]),
    /// Replaces the hard state.
    HardState(HardState),
    /// Drops all entries and begins after a snapshot.
    Start(&'a Start),
}

/// What a log held when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The first entry that can be read; one above `last` if there is none.
    pub first: LogIndex,
    /// The last entry.
    pub last: LogIndex,
    /// The last hard state; zeros in a new log.
    pub hard_state: HardState,
    /// The last snapshot the log was begun anew after, if its segment was not trimmed yet.
    pub start: Option<Start>,
    /// The torn tail that was cut off, if there was one.
    pub cut: Option<Cut>,
}

/// What a sync made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// The last entry of the log, durable now.
    pub last: LogIndex,
    /// Bytes that this sync made durable, without those of segments that were sealed before it.
    pub bytes: u32,
}
