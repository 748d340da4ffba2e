//! The log stage: what one pass of the driver wants logged becomes one group, made durable at once.
//!
//! ```text
//!  Log(job) ─► append ─► append ─► ... ─► finish: one write, one fdatasync ─► Logged(highest number)
//! ```
//!
//! Invariants: jobs are appended in the order of their Readies; `finish` answers for all of them or stops the node;
//! a Ready that nobody waits for stays buffered until the next group or the next tick.

use std::time::{Duration, Instant};

use internal_proto::{LogIndex, MemberId, Term};
use raft::eraftpb;

use super::core::{LogJob, ReadyNumber};
use crate::log::{Entry, EntryKind, HardState, Log, LogError, Record, Reserve};

/// The log and what waits to be durable in it.
pub(crate) struct LogStage {
    log: Log,
    /// The highest Ready appended since the last report.
    appended: Option<ReadyNumber>,
    must_sync: bool,
    bytes_since_checkpoint: u64,
}

/// What a group took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// All Readies up to this one are durable.
    pub(crate) number: ReadyNumber,
    /// The duration of the write and sync; `None` if nothing had to be synced.
    pub(crate) sync: Option<Duration>,
}

impl LogStage {
    /// A stage that goes on with a recovered log.
    pub(crate) fn new(log: Log) -> Self {
        Self { log, appended: None, must_sync: false, bytes_since_checkpoint: 0 }
    }

    /// Appends one Ready's entries and hard state to the group.
    pub(crate) fn append(&mut self, job: &LogJob) -> Result<(), LogError> {
        let entries: Vec<Entry> = job.entries.iter().map(logged).collect();
        let bytes: usize = entries.iter().map(|entry| entry.data.len()).sum();
        self.bytes_since_checkpoint += bytes as u64;
        let hard_state = job.hard_state.as_ref().map(|state| Record::HardState(hard_state(state)));
        let entries = (!entries.is_empty()).then_some(Record::Entries(&entries));
        let records: Vec<_> = entries.into_iter().chain(hard_state).collect();
        self.log.append(&records)?;
        self.must_sync |= job.must_sync;
        self.appended = Some(job.number);
        Ok(())
    }

    /// Makes the group durable. The clock is the caller's.
    pub(crate) fn finish(&mut self, now: &dyn Fn() -> Instant) -> Result<Option<Group>, LogError> {
        let Some(number) = self.appended.take() else { return Ok(None) };
        if !std::mem::take(&mut self.must_sync) {
            return Ok(Some(Group { number, sync: None }));
        }
        let start = now();
        self.log.sync()?;
        Ok(Some(Group { number, sync: Some(now() - start) }))
    }

    /// Writes what nobody waits for, so that a later start knows how far the log was durable.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        self.log.flush()
    }

    /// Reads older entries back for a slow follower; empty if they were trimmed since raft asked for them.
    ///
    /// # Errors
    /// Any other failure is final: raft would ask for the same entries at once and for ever.
    pub(crate) fn fetch(
        &mut self,
        low: LogIndex,
        high: LogIndex,
        max_bytes: u64,
    ) -> Result<Vec<eraftpb::Entry>, LogError> {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        match self.log.entries(low, high, max_bytes) {
            Ok(entries) => Ok(entries.into_iter().map(unlogged).collect()),
            Err(LogError::Trimmed { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The log itself, for its housekeeping.
    pub(crate) fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Whether so many bytes of a proposal can be logged, given what is left when the disk is full. A proposal that
    /// needs a further segment has one made here if there is none: once proposed it can no longer be refused.
    ///
    /// # Errors
    /// When a segment cannot be made for another reason than a full disk.
    pub(crate) fn has_room(&mut self, bytes: usize, frees_space: bool) -> Result<bool, LogError> {
        /// Kept for what ends a full disk: compaction, deletions, and raft's own records.
        const RESERVE: usize = 1 << 20;
        if self.log.reserve() == Reserve::Available && self.log.room() <= bytes + RESERVE {
            self.log.retry_reserve()?;
        }
        Ok(match self.log.reserve() {
            Reserve::Available => true,
            Reserve::NoDisk => {
                let kept = if frees_space { RESERVE / 4 } else { RESERVE };
                self.log.room() > bytes + kept && frees_space
            }
        })
    }

    /// Whether there is no space for a further segment.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.log.reserve() == Reserve::NoDisk
    }

    /// Bytes of entries logged since the last checkpoint began.
    pub(crate) const fn bytes_since_checkpoint(&self) -> u64 {
        self.bytes_since_checkpoint
    }

    /// A checkpoint that began at this count is durable.
    pub(crate) fn checkpointed(&mut self, bytes: u64) {
        self.bytes_since_checkpoint -= bytes;
    }
}

fn logged(entry: &eraftpb::Entry) -> Entry {
    let kind = match entry.get_entry_type() {
        eraftpb::EntryType::EntryNormal => EntryKind::Normal,
        eraftpb::EntryType::EntryConfChange => EntryKind::ConfChange,
        eraftpb::EntryType::EntryConfChangeV2 => EntryKind::ConfChangeV2,
    };
    Entry { index: LogIndex(entry.index), term: Term(entry.term), kind, data: entry.data.clone() }
}

/// raft's form of a logged entry.
pub(crate) fn unlogged(entry: Entry) -> eraftpb::Entry {
    let kind = match entry.kind {
        EntryKind::Normal => eraftpb::EntryType::EntryNormal,
        EntryKind::ConfChange => eraftpb::EntryType::EntryConfChange,
        EntryKind::ConfChangeV2 => eraftpb::EntryType::EntryConfChangeV2,
    };
    let mut unlogged = eraftpb::Entry::default();
    unlogged.set_entry_type(kind);
    unlogged.index = entry.index.0;
    unlogged.term = entry.term.0;
    unlogged.data = entry.data;
    unlogged
}

fn hard_state(state: &eraftpb::HardState) -> HardState {
    HardState { term: Term(state.term), vote: MemberId(state.vote), commit: LogIndex(state.commit) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use internal_proto::ClusterId;

    use super::*;
    use crate::files::PowerLoss;
    use crate::log::{Identity, Options};

    fn stage(files: &PowerLoss) -> LogStage {
        let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
        let options = Options { identity, segment_bytes: 4096 };
        LogStage::new(Log::open(Arc::new(files.clone()), Path::new("/data/log"), options).unwrap().0)
    }

    #[test]
    fn a_full_disk_is_noticed_before_anything_is_proposed() {
        let files = PowerLoss::new(1);
        let mut stage = stage(&files);
        files.set_capacity(Some(files.used()));
        assert!(!stage.has_room(1, false).unwrap());
        files.set_capacity(None);
        stage.log().retry_reserve().unwrap();
        assert!(stage.has_room(1, false).unwrap());
    }

    #[test]
    fn entries_that_cannot_be_read_stop_the_node() {
        let files = PowerLoss::new(1);
        let mut stage = stage(&files);
        let entry = eraftpb::Entry { index: 1, term: 1, ..eraftpb::Entry::default() };
        let job = LogJob { number: ReadyNumber(1), hard_state: None, entries: vec![entry], must_sync: true };
        stage.append(&job).unwrap();
        stage.finish(&Instant::now).unwrap();
        let (first, end) = (LogIndex(1), LogIndex(2));
        assert_eq!(stage.fetch(first, end, 100).unwrap().len(), 1);
        assert!(stage.fetch(LogIndex(0), end, 100).unwrap().is_empty());
        files.power_loss();
        assert!(stage.fetch(first, end, 100).is_err());
    }
}
