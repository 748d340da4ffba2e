//! Reading entries back from the segments, for slow followers and for recovery.
//!
//! A [`Read`] owns all it needs, so it may run on another thread while the log goes on. If the log trims
//! and recycles a segment meanwhile, its records no longer check, and the read says so.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use internal_proto::LogIndex;

use super::index::Stretch;
use super::record::{self, Kind, Position};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::{Entry, Log, LogError, payload};
use crate::files::{Attempt, File};

impl Log {
    /// Reads the entries from `from` to before `to`: at least one if there is one, then as many as keep the
    /// sum of their data within `max_bytes`.
    ///
    /// # Errors
    /// [`LogError::Trimmed`] and [`LogError::Beyond`] for a range that is not within the log;
    /// [`LogError::Damaged`] if the disk returns other bytes than were written.
    pub fn entries(&mut self, from: LogIndex, to: LogIndex, max_bytes: usize) -> Result<Vec<Entry>, LogError> {
        self.read(from, to, max_bytes)?.run()
    }

    /// Plans what [`Self::entries`] does, to be run on another thread.
    ///
    /// # Errors
    /// As [`Self::entries`]; also a failed write of what was still buffered.
    pub fn read(&mut self, from: LogIndex, to: LogIndex, max_bytes: usize) -> Result<Read, LogError> {
        let (first, last) = (self.first_index(), self.last_index());
        if from < first {
            return Err(LogError::Trimmed { index: from, first });
        }
        if to > last.next() {
            return Err(LogError::Beyond { index: LogIndex(to.0 - 1), last });
        }
        let mut parts = Vec::new();
        if from < to {
            self.flush()?;
            let mut bytes = 0;
            for (stretch, before) in self.index.stretches(from, to) {
                let Segment { file, path, .. } = self.segment(stretch.segment);
                bytes += (stretch.end - stretch.offset) as usize;
                parts.push(Part { stretch, before, file: file.clone(), path: path.clone() });
                if bytes / 2 > max_bytes {
                    break;
                }
            }
        }
        Ok(Read { parts, from, to, max_bytes })
    }

    fn segment(&self, number: u64) -> &Segment {
        let oldest = self.segments.front().map_or(number, |segment| segment.header.number);
        let at = usize::try_from(number - oldest).expect("segments fit into memory");
        self.segments.get(at).expect("the index knows only live segments")
    }

    /// Bytes of log behind the entry `index`, to within one read: what a restart would replay.
    pub fn bytes_since(&self, index: LogIndex) -> u64 {
        let Some(position) = self.index.position_after(index) else { return 0 };
        let newest = self.segments.len() - 1;
        let ends = self.segments.iter().enumerate().map(|(at, segment)| {
            let end = if at == newest { self.writer.tail() } else { segment.end };
            (segment.header.number, end)
        });
        let behind = ends.filter(|(number, _)| *number >= position.segment).map(|(number, end)| {
            let start = if number == position.segment { position.offset } else { SEGMENT_HEADER_BYTES };
            u64::from(end - start)
        });
        behind.sum()
    }
}

struct Part {
    stretch: Stretch,
    /// The stretch's entries from here on were overwritten.
    before: LogIndex,
    file: Arc<dyn File>,
    path: PathBuf,
}

/// A planned read of consecutive entries.
pub struct Read {
    parts: Vec<Part>,
    from: LogIndex,
    to: LogIndex,
    max_bytes: usize,
}

impl Read {
    /// The entries, in order: at least one if the range is not empty, then as many as keep the sum of their
    /// data within the limit. Their data share buffers of the read; copy what is kept for long.
    ///
    /// # Errors
    /// [`LogError::Damaged`] if a record does not check, which is also how a segment looks that was trimmed
    /// and recycled since the read was planned: [`super::Log::first_index`] tells.
    pub fn run(self) -> Result<Vec<Entry>, LogError> {
        let mut entries = Vec::new();
        let mut room = self.max_bytes;
        for part in &self.parts {
            if !self.collect(part, &mut entries, &mut room)? {
                break;
            }
        }
        Ok(entries)
    }

    /// Adds the entries of one stretch; false once the limit is reached.
    fn collect(&self, part: &Part, entries: &mut Vec<Entry>, room: &mut usize) -> Result<bool, LogError> {
        let Stretch { segment, offset, end, .. } = part.stretch;
        let mut buffer = vec![0; (end - offset) as usize];
        part.file.read_at(&mut buffer, u64::from(offset)).attempt("read", &part.path)?;
        let buffer = Bytes::from(buffer);
        let mut at = offset;
        while at < end {
            let damaged = || LogError::Damaged { file: part.path.clone(), offset: at };
            let rest = &buffer[(at - offset) as usize..];
            let record = record::check(rest, Position { segment, offset: at }).ok_or_else(damaged)?;
            if record.kind == Some(Kind::Entries) {
                for view in payload::entries(record.payload) {
                    let view = view.ok_or_else(damaged)?;
                    if view.index >= self.to || view.index >= part.before {
                        return Ok(view.index < self.to);
                    }
                    if view.index < self.from {
                        continue;
                    }
                    if !entries.is_empty() && view.data.len() > *room {
                        return Ok(false);
                    }
                    *room = room.saturating_sub(view.data.len());
                    let data = buffer.slice_ref(view.data);
                    entries.push(Entry { index: view.index, term: view.term, kind: view.kind, data });
                }
            }
            at += u32::try_from(record.size()).expect("a record fits into a segment");
        }
        Ok(true)
    }
}
