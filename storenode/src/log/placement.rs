//! Decides which records go into which segment, before anything is written.
//!
//! ```text
//!   room left   | entries 7..9 |  next segment ─►  | entries 10..12 | hard state |
//! ```
//!
//! A run of entries is divided so that it fills a segment; a single record never spans two.

use super::record;
use super::{Entry, LogError, Record, payload};

/// One step of placing records.
pub(super) enum Step<'a> {
    /// Begin the next segment.
    NextSegment,
    /// Write this record into the current one.
    Write(Record<'a>),
}

/// Walks through `records` with `room` bytes left in the current segment and `fresh` in every further one.
///
/// # Errors
/// [`LogError::EntryTooLarge`], and whatever `perform` returns.
pub(super) fn place<'a>(
    records: &[Record<'a>],
    mut room: usize,
    fresh: usize,
    mut perform: impl FnMut(Step<'a>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    for record in records {
        let mut rest = *record;
        loop {
            let (head, tail, bytes) = divide(rest, room);
            if let Some(head) = head {
                room -= bytes;
                perform(Step::Write(head))?;
            } else if room < fresh {
                room = fresh;
                perform(Step::NextSegment)?;
                continue;
            } else if let Record::Entries([entry, ..]) = rest {
                return Err(LogError::EntryTooLarge { index: entry.index, bytes, limit: fresh });
            } else {
                return Err(LogError::RecordTooLarge { bytes, limit: fresh });
            }
            match tail {
                Some(tail) => rest = tail,
                None => break,
            }
        }
    }
    Ok(())
}

/// The part of a record that fits into `room`, the part that does not, and the bytes of the first; if
/// nothing fits, the bytes the least part would take.
fn divide(record: Record<'_>, room: usize) -> (Option<Record<'_>>, Option<Record<'_>>, usize) {
    let bytes = match record {
        Record::Entries([]) => return (Some(record), None, 0),
        Record::Entries(entries) => return divide_entries(entries, room),
        Record::HardState(_) => record::size(payload::HARD_STATE_BYTES),
        Record::Start(start) => record::size(payload::START_BYTES + start.conf_state.len()),
    };
    if bytes <= room { (Some(record), None, bytes) } else { (None, Some(record), bytes) }
}

fn divide_entries(entries: &[Entry], room: usize) -> (Option<Record<'_>>, Option<Record<'_>>, usize) {
    let mut payload = payload::RUN_BYTES;
    let mut count = 0;
    for entry in entries {
        let grown = payload + payload::entry_bytes(entry);
        if record::size(grown) > room {
            break;
        }
        payload = grown;
        count += 1;
    }
    if count == 0 {
        let least = payload::RUN_BYTES + entries.first().map_or(0, payload::entry_bytes);
        return (None, Some(Record::Entries(entries)), record::size(least));
    }
    let (head, tail) = entries.split_at(count);
    let tail = (!tail.is_empty()).then_some(Record::Entries(tail));
    (Some(Record::Entries(head)), tail, record::size(payload))
}
