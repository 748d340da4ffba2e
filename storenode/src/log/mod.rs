//! The raft log on disk: one per node, for both engines.
//!
//! ```text
//!            append          sync                              trim
//!   records ───────► buffer ──────► segments 5, 6, 7 ─────────────────► spare ─► segment 8 ..
//!                  one write, one fdatasync │   older ones sealed       (renamed, not rewritten)
//!                                           └── entries: read back for recovery and slow followers
//! ```
//!
//! A plain value without threads or clock: the caller decides where it runs, groups what is queued into one
//! [`Log::append`] and [`Log::sync`], times them, and runs [`SpareJob`]s.
//!
//! Invariants:
//! - What [`Log::sync`] has returned for is there after any power loss; nothing else appears but a prefix
//!   of the records appended after it.
//! - Damage to such data stops the start, naming file and offset; a torn tail is cut.
//! - A segment is durable to its end before the next one is begun.
//! - An append that finds no disk space fails before anything is written. A failed write or sync is final.

mod error;
mod index;
mod open;
mod payload;
mod placement;
mod read;
mod record;
mod recovery;
mod retention;
mod segment;
mod spare;
mod types;
mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use internal_proto::{LogIndex, Term};

pub use error::LogError;
pub use read::Read;
pub use recovery::Cut;
pub use spare::{Reserve, Spare, SpareJob};
pub use types::{Entry, EntryKind, HardState, Options, Record, Recovered, Start, Synced};

pub use crate::identity::Identity;

use crate::files::Files;
use index::{Boundary, Index};
use open::begin_segment;
use placement::{Step, place};
use record::Kind;
use segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use spare::Spares;
use writer::Writer;

/// The size of segments unless a test asks for less: large enough that beginning one is rare, small enough
/// that a spare costs little disk.
pub const SEGMENT_BYTES: u32 = 64 << 20;

/// The raft log of one node.
pub struct Log {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: Options,
    /// Oldest first; the newest is the one being written.
    segments: VecDeque<Segment>,
    spares: Spares,
    index: Index,
    hard_state: HardState,
    writer: Writer,
}

impl Log {
    /// Adds records to the group that the next [`Self::sync`] makes durable. Entries must have consecutive
    /// indexes and continue the log; where they begin at or below its last one, they replace what follows.
    ///
    /// # Errors
    /// [`LogError::Gap`], [`LogError::EntryTooLarge`], [`LogError::RecordTooLarge`] and
    /// [`LogError::NoDisk`] leave the log as it was. A segment that is full is written and synced on the
    /// way, which may fail for good.
    pub fn append(&mut self, records: &[Record<'_>]) -> Result<(), LogError> {
        self.writer.check()?;
        self.check_order(records)?;
        let fresh = (self.options.segment_bytes - SEGMENT_HEADER_BYTES) as usize;
        let room = self.writer.room();
        let mut needed = 0;
        place(records, room, fresh, |step| {
            needed += usize::from(matches!(step, Step::NextSegment));
            Ok(())
        })?;
        self.spares.ensure(needed)?;
        place(records, room, fresh, |step| {
            match step {
                Step::NextSegment => self.begin_next()?,
                Step::Write(record) => self.write(record),
            }
            Ok(())
        })
    }

    fn check_order(&self, records: &[Record<'_>]) -> Result<(), LogError> {
        let (mut first, mut last) = (self.first_index(), self.last_index());
        for record in records {
            match record {
                Record::Entries([]) | Record::HardState(_) => {}
                Record::Start(start) => (first, last) = (start.index.next(), start.index),
                Record::Entries([head, rest @ ..]) => {
                    if head.index < first || head.index > last.next() {
                        return Err(LogError::Gap { index: head.index, first, last });
                    }
                    last = head.index;
                    for entry in rest {
                        if entry.index != last.next() {
                            return Err(LogError::Gap { index: entry.index, first, last });
                        }
                        last = entry.index;
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, record: Record<'_>) {
        match record {
            Record::Entries([]) => {}
            Record::Entries(entries @ [head, ..]) => {
                let at = self.writer.push(Kind::Entries, |buffer| payload::put_entries(buffer, entries));
                self.index.begin_run(head.index, head.term, at, self.writer.tail());
                for entry in entries {
                    self.index.push(entry.term);
                }
            }
            Record::HardState(hard_state) => {
                self.writer.push(Kind::HardState, |buffer| payload::put_hard_state(buffer, hard_state));
                self.hard_state = hard_state;
            }
            Record::Start(start) => {
                self.writer.push(Kind::Start, |buffer| payload::put_start(buffer, start));
                self.index = Index::new(Boundary { index: start.index, term: start.term });
            }
        }
    }

    /// Seals the newest segment durable and begins the next.
    fn begin_next(&mut self) -> Result<(), LogError> {
        self.writer.sync()?;
        let newest = self.segments.back_mut().expect("a log has a segment");
        newest.end = self.writer.tail();
        let header = SegmentHeader {
            identity: self.options.identity,
            number: newest.header.number + 1,
            bytes: self.options.segment_bytes,
            previous_end: newest.end,
            boundary: self.index.last(),
            hard_state: self.hard_state,
        };
        let segment =
            begin_segment(&*self.files, &self.dir, &mut self.spares, header).inspect_err(|_| self.writer.fail())?;
        self.writer.begin(&segment);
        self.segments.push_back(segment);
        Ok(())
    }

    /// Writes what is buffered without making it durable: for a hard state that only moves the commit
    /// index. Once on disk, it also proves that what lies below was durable.
    ///
    /// # Errors
    /// A failed write is final.
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.writer.flush()
    }

    /// Makes everything appended so far durable, with one write and one fdatasync; with neither if nothing
    /// was appended.
    ///
    /// # Errors
    /// A failed write or sync is final: the node must stop.
    pub fn sync(&mut self) -> Result<Synced, LogError> {
        let bytes = self.writer.sync()?;
        Ok(Synced { last: self.last_index(), bytes })
    }

    /// The first entry that can be read; one above [`Self::last_index`] if there is none.
    pub fn first_index(&self) -> LogIndex {
        self.index.first()
    }

    /// The last entry appended, or the index the log starts after.
    pub fn last_index(&self) -> LogIndex {
        self.index.last().index
    }

    /// The term of an entry, or of the one before the first.
    ///
    /// # Errors
    /// [`LogError::Trimmed`] and [`LogError::Beyond`].
    pub fn term(&self, index: LogIndex) -> Result<Term, LogError> {
        self.index.term(index)
    }

    /// The hard state appended last.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }
}
