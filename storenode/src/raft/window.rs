//! The part of the log that raft's core sees: entries above `applied`, in memory, and the terms of the rest.
//!
//! ```text
//!       log files                      window
//!  first ─────────────── boundary │ boundary+1 ─────────── last
//!        terms only, as runs      │ entries
//!        entries: Fetch, async    │
//! ```
//!
//! Invariants: the window never touches a file; it holds every entry above `boundary` and `boundary` ≤ applied, so
//! that what raft asks for synchronously (committed entries, pending membership changes) is always there.

use std::collections::VecDeque;

use internal_proto::{LogIndex, MemberId, Term};
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

/// The log as raft's core reads it.
#[derive(Debug)]
pub(crate) struct Window {
    hard_state: HardState,
    conf_state: ConfState,
    /// The first index that the log's files hold.
    first: u64,
    /// The index before the first entry in `entries`.
    boundary: u64,
    entries: VecDeque<Entry>,
    /// Where each term begins: rising indexes, rising terms. Covers `first - 1` up to the last index.
    terms: VecDeque<(u64, u64)>,
    /// Entries that were fetched from the files for one follower, served to the very next read of them.
    fetched: Vec<Entry>,
    /// What raft wants fetched; it asks again through `on_entries_fetched`.
    wanted: std::cell::RefCell<Vec<Fetch>>,
    /// A snapshot that is held ready for one follower.
    snapshot: Option<Held>,
    /// Who lacks entries that are in no file any more; raft asks again when it hears of them.
    lacking: std::cell::RefCell<Vec<(MemberId, Lack)>>,
}

/// A snapshot that is held ready.
#[derive(Debug)]
pub(crate) struct Held {
    /// Whom it is for.
    pub(crate) follower: MemberId,
    /// What it may replace there.
    pub(crate) lack: Lack,
    /// What it holds.
    pub(crate) metadata: SnapshotMetadata,
}

/// Why a follower needs a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It fell behind, and remembers what it has promised.
    Entries,
    /// It has nothing, or lost what it had.
    Everything,
}

/// Older entries that raft wants for a slow follower.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// The first index.
    pub(crate) low: LogIndex,
    /// The index after the last.
    pub(crate) high: LogIndex,
    /// At most so many bytes, but at least one entry.
    pub(crate) max_bytes: u64,
    /// To be given back to raft.
    pub(crate) context: GetEntriesContext,
}

/// Where a log begins and what it remembers, for a window over it.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The term, vote and commit index.
    pub(crate) hard_state: HardState,
    /// The members as of `applied`.
    pub(crate) conf_state: ConfState,
    /// The first index that the files hold.
    pub(crate) first: LogIndex,
    /// The last index applied before raft starts: the window begins after it.
    pub(crate) applied: LogIndex,
    /// Where each term begins, from `first - 1` on.
    pub(crate) terms: Vec<(LogIndex, Term)>,
}

impl Window {
    /// A window over a log; the entries above `applied` follow through [`Window::append`].
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            hard_state: origin.hard_state,
            conf_state: origin.conf_state,
            first: origin.first.0,
            boundary: origin.applied.0,
            entries: VecDeque::new(),
            terms: origin.terms.into_iter().map(|(index, term)| (index.0, term.0)).collect(),
            fetched: Vec::new(),
            wanted: std::cell::RefCell::default(),
            snapshot: None,
            lacking: std::cell::RefCell::default(),
        }
    }

    /// Begins anew after a snapshot.
    pub(crate) fn restore(&mut self, metadata: &SnapshotMetadata) {
        self.conf_state = metadata.get_conf_state().clone();
        self.first = metadata.index + 1;
        self.boundary = metadata.index;
        self.entries.clear();
        self.terms = VecDeque::from([(metadata.index, metadata.term)]);
        self.fetched.clear();
    }

    /// Holds a snapshot ready for a follower, or none any more.
    pub(crate) fn hold(&mut self, snapshot: Option<Held>) {
        self.snapshot = snapshot;
    }

    /// Who needs a snapshot, as far as raft has found out since the last call.
    pub(crate) fn take_lacking(&mut self) -> Vec<(MemberId, Lack)> {
        std::mem::take(self.lacking.get_mut())
    }

    /// Adds entries; one at an index that is there already replaces it and all that follow.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(head) = entries.first() else { return };
        assert!(head.index > self.boundary, "raft never rewrites an applied entry");
        assert!(head.index <= self.last() + 1, "raft never leaves a gap in its log");
        let kept = usize::try_from(head.index - self.boundary - 1).expect("the window fits in memory");
        self.entries.truncate(kept);
        while self.terms.back().is_some_and(|&(start, _)| start >= head.index) {
            self.terms.pop_back();
        }
        for entry in entries {
            if self.terms.back().is_none_or(|&(_, term)| term != entry.term) {
                self.terms.push_back((entry.index, entry.term));
            }
            self.entries.push_back(entry.clone());
        }
    }

    /// Forgets entries that are applied: they are in the files.
    pub(crate) fn applied(&mut self, index: LogIndex) {
        while self.boundary < index.0 && self.entries.pop_front().is_some() {
            self.boundary += 1;
        }
    }

    /// Whether the log begins above what follows this index.
    pub(crate) const fn is_ahead_of(&self, index: LogIndex) -> bool {
        self.first > index.0 + 1
    }

    /// Notes that the files now begin at `first`.
    pub(crate) fn trimmed(&mut self, first: LogIndex) {
        self.first = self.first.max(first.0);
        while self.terms.get(1).is_some_and(|&(start, _)| start < self.first) {
            self.terms.pop_front();
        }
    }

    /// What raft wants fetched since the last call.
    pub(crate) fn take_wanted(&mut self) -> Vec<Fetch> {
        std::mem::take(self.wanted.get_mut())
    }

    /// Holds fetched entries for raft's next read; `None` lets go of them.
    pub(crate) fn offer(&mut self, entries: Vec<Entry>) {
        self.fetched = entries;
    }

    fn last(&self) -> u64 {
        self.boundary + self.entries.len() as u64
    }

    fn slice(&self, low: u64, high: u64, max_bytes: u64) -> Vec<Entry> {
        let from = usize::try_from(low - self.boundary - 1).expect("the window fits in memory");
        let to = usize::try_from(high - self.boundary - 1).expect("the window fits in memory");
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let admitted = bytes == 0 || bytes + entry.data.len() as u64 <= max_bytes;
            bytes += entry.data.len() as u64 + 1;
            admitted
        };
        self.entries.range(from..to).take_while(fits).cloned().collect()
    }
}

impl Storage for Window {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let max_bytes = max_size.into().unwrap_or(u64::MAX);
        if low < self.first {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        if low > self.boundary {
            return Ok(self.slice(low, high, max_bytes));
        }
        if self.fetched.first().is_some_and(|entry| entry.index == low) {
            let until = self.fetched.iter().take_while(|entry| entry.index < high);
            return Ok(until.cloned().collect());
        }
        if !context.can_async() {
            return Err(Error::Store(StorageError::Compacted));
        }
        let high = high.min(self.boundary + 1);
        self.wanted.borrow_mut().push(Fetch { low: LogIndex(low), high: LogIndex(high), max_bytes, context });
        Err(Error::Store(StorageError::LogTemporarilyUnavailable))
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index > self.last() {
            return Err(Error::Store(StorageError::Unavailable));
        }
        if index + 1 < self.first {
            return Err(Error::Store(StorageError::Compacted));
        }
        let run = self.terms.partition_point(|&(start, _)| start <= index);
        match run.checked_sub(1).and_then(|run| self.terms.get(run)) {
            Some(&(_, term)) => Ok(term),
            None => Err(Error::Store(StorageError::Compacted)),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        // Nobody asks for an index but a member that has lost what it had.
        let lack = if request_index > 0 { Lack::Everything } else { Lack::Entries };
        let serves = |held: &&Held| {
            let enough = held.lack == Lack::Everything || lack == Lack::Entries;
            held.follower.0 == to && held.metadata.index >= request_index && enough
        };
        match self.snapshot.as_ref().filter(serves) {
            Some(held) => {
                let mut snapshot = Snapshot::default();
                snapshot.set_metadata(held.metadata.clone());
                Ok(snapshot)
            }
            None => {
                self.lacking.borrow_mut().push((MemberId(to), lack));
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}
