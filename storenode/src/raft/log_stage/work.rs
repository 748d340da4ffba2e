//! What the log stage does, wherever it runs: takes the tasks that are queued together and answers for all of them.
//!
//! ```text
//!  Append, Append, Flush, Trim, Fetch, .. ─► in their order ─► one write, one fdatasync ─► Done
//! ```
//!
//! Invariants: appends are in the order of their Readies; `perform` answers for all of them or the node stops; a
//! Ready that nobody waits for stays buffered until the next group or the next flush.

use std::time::Duration;

use internal_proto::{LogIndex, MemberId, Term};
use raft::eraftpb;

use super::space::Space;
use crate::log::{Entry, EntryKind, HardState, Log, LogError, Record, Spare, SpareJob};
use crate::raft::core::{LogJob, ReadyNumber};
use crate::raft::member::Clock;
use crate::raft::window::Fetch;

/// What the log stage is asked to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Append one Ready's entries and hard state.
    Append(LogJob),
    /// Write what nobody waits for, so that a later start knows how far the log was durable.
    Flush,
    /// Give up entries through this index.
    Trim(LogIndex),
    /// Read older entries back for a slow follower.
    Fetch(Fetch),
    /// Take a spare segment that was made, or learn that there is no space for one.
    TakeSpare(Result<Spare, LogError>),
    /// Make a spare here and now, if there is none.
    MakeSpare,
}

/// What became of the tasks that were performed together.
pub(crate) struct Done {
    /// How many they were.
    pub(crate) tasks: usize,
    /// Bytes that they appended, as [`weight`] counts them.
    pub(crate) bytes: usize,
    /// All Readies up to this one are durable.
    pub(crate) logged: Option<ReadyNumber>,
    /// The duration of the write and sync; `None` if nothing had to be synced.
    pub(crate) sync: Option<Duration>,
    /// The duration of all of it.
    pub(crate) took: Duration,
    /// The log now begins here.
    pub(crate) trimmed: Option<LogIndex>,
    /// Entries that were read back; none if they were trimmed since raft asked for them.
    pub(crate) fetched: Vec<(Fetch, Vec<eraftpb::Entry>)>,
    /// How to make a spare, if there is none.
    pub(crate) spare_job: Option<SpareJob>,
    /// What is left afterwards.
    pub(crate) space: Space,
}

/// The log, and the clock that times it.
pub(crate) struct LogWork {
    log: Log,
    clock: Clock,
}

impl LogWork {
    /// Goes on with a recovered log.
    pub(crate) fn new(log: Log, clock: Clock) -> Self {
        Self { log, clock }
    }

    /// Performs tasks in their order, then makes durable what they appended, if anybody waits for it.
    ///
    /// # Errors
    /// Any is final: what became of the tasks is unknown. A fetch that fails is final, too, as raft would ask for the
    /// same entries at once and for ever.
    pub(crate) fn perform(&mut self, tasks: Vec<Task>) -> Result<Done, LogError> {
        let start = (self.clock)();
        let mut done = Done {
            tasks: tasks.len(),
            bytes: 0,
            logged: None,
            sync: None,
            took: Duration::ZERO,
            trimmed: None,
            fetched: Vec::new(),
            spare_job: None,
            space: self.space(),
        };
        let mut must_sync = false;
        for task in tasks {
            match task {
                Task::Append(job) => {
                    done.bytes += weight(&job);
                    must_sync |= job.must_sync;
                    done.logged = Some(job.number);
                    self.append(&job)?;
                }
                Task::Flush => self.log.flush()?,
                Task::Trim(through) => {
                    self.log.trim(through)?;
                    done.trimmed = Some(self.log.first_index());
                }
                Task::Fetch(fetch) => {
                    let entries = self.fetch(&fetch)?;
                    done.fetched.push((fetch, entries));
                }
                Task::TakeSpare(outcome) => self.log.offer_spare(outcome)?,
                Task::MakeSpare => drop(self.log.retry_reserve()?),
            }
        }
        if must_sync {
            let start = (self.clock)();
            self.log.sync()?;
            done.sync = Some((self.clock)() - start);
        }
        done.spare_job = self.log.spare_job();
        done.space = self.space();
        done.took = (self.clock)() - start;
        Ok(done)
    }

    /// What is left.
    pub(crate) fn space(&self) -> Space {
        Space {
            room: self.log.room(),
            has_spare: self.log.has_spare(),
            segment_bytes: self.log.segment_bytes(),
            reserve: self.log.reserve(),
        }
    }

    /// How to make a spare segment, if there is none.
    pub(crate) fn spare_job(&mut self) -> Option<SpareJob> {
        self.log.spare_job()
    }

    fn append(&mut self, job: &LogJob) -> Result<(), LogError> {
        let entries: Vec<Entry> = job.entries.iter().map(logged).collect();
        let start = job.start.as_ref().map(Record::Start);
        let hard_state = job.hard_state.as_ref().map(|state| Record::HardState(hard_state(state)));
        let entries = (!entries.is_empty()).then_some(Record::Entries(&entries));
        let records: Vec<_> = start.into_iter().chain(entries).chain(hard_state).collect();
        self.log.append(&records)
    }

    fn fetch(&mut self, fetch: &Fetch) -> Result<Vec<eraftpb::Entry>, LogError> {
        let max_bytes = usize::try_from(fetch.max_bytes).unwrap_or(usize::MAX);
        match self.log.entries(fetch.low, fetch.high, max_bytes) {
            Ok(entries) => Ok(entries.into_iter().map(unlogged).collect()),
            Err(LogError::Trimmed { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Bytes of log that a job takes, a little more rather than less.
pub(crate) fn weight(job: &LogJob) -> usize {
    /// A record's header and padding, or what goes with an entry in one.
    const OVERHEAD: usize = 64;
    let entries = job.entries.iter().map(|entry| entry.data.len() + OVERHEAD).sum::<usize>();
    entries + if job.is_empty() { 0 } else { 2 * OVERHEAD }
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
