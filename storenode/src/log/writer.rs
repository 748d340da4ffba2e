//! The end of the log: gathers a group of records, writes it with one call, makes it durable with one sync.
//!
//! ```text
//!   segment  | header | durable ........ | written ... | buffer ... | free
//!                                     synced        written        tail
//! ```
//!
//! Invariants: bytes above `synced` are never reported durable. After a failed write or sync nothing is
//! written again: what the kernel kept of it is unknown.

use std::path::PathBuf;
use std::sync::Arc;

use super::LogError;
use super::record::{self, ALIGNMENT, HEADER_BYTES, Kind, Position};
use super::segment::Segment;
use crate::files::{Attempt, File};

/// Groups are padded with zeros to whole pages: a partial page of a recycled segment would first be read.
const PAGE_BYTES: u32 = 4096;

/// A buffer grown by an unusually large group is given back above this size.
const KEPT_BUFFER_BYTES: usize = 8 << 20;

pub(super) struct Writer {
    file: Arc<dyn File>,
    path: PathBuf,
    segment: u64,
    capacity: u32,
    synced: u32,
    written: u32,
    buffer: Vec<u8>,
    failed: bool,
}

impl Writer {
    /// Continues a segment that is durable up to its end.
    pub(super) fn new(segment: &Segment) -> Self {
        Self {
            file: segment.file.clone(),
            path: segment.path.clone(),
            segment: segment.header.number,
            capacity: segment.header.bytes,
            synced: segment.end,
            written: segment.end,
            buffer: Vec::new(),
            failed: false,
        }
    }

    /// Goes on in an empty segment, beginning with its header; the current one must be synced.
    pub(super) fn begin(&mut self, segment: &Segment) {
        let buffer = std::mem::take(&mut self.buffer);
        *self = Self { buffer, ..Self::new(segment) };
        segment.header.encode(&mut self.buffer);
    }

    /// Where the next record will begin.
    pub(super) fn tail(&self) -> u32 {
        self.written + u32::try_from(self.buffer.len()).expect("the buffer fits into a segment")
    }

    /// Bytes left in the segment.
    pub(super) fn room(&self) -> usize {
        (self.capacity - self.tail()) as usize
    }

    /// Whether the segment's header is durable.
    pub(super) fn is_begun(&self) -> bool {
        self.synced > 0
    }

    pub(super) fn check(&self) -> Result<(), LogError> {
        if self.failed { Err(LogError::Failed) } else { Ok(()) }
    }

    /// From now on everything fails: the state of the disk is unknown.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Adds a record whose payload `encode` appends; it must fit.
    pub(super) fn push(&mut self, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) -> Position {
        let at = Position { segment: self.segment, offset: self.tail() };
        let start = self.buffer.len();
        self.buffer.resize(start + HEADER_BYTES, 0);
        encode(&mut self.buffer);
        record::seal(&mut self.buffer[start..], at, kind, self.synced);
        self.buffer.resize(self.buffer.len().next_multiple_of(ALIGNMENT), 0);
        at
    }

    /// Hands what is buffered to the kernel, with one write.
    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        self.check()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let tail = self.tail();
        let padded = tail.next_multiple_of(PAGE_BYTES).min(self.capacity);
        self.buffer.resize((padded - self.written) as usize, 0);
        let written = self.file.write_at(&self.buffer, u64::from(self.written));
        self.settle(written, "write")?;
        self.written = tail;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        Ok(())
    }

    /// Makes everything durable; returns how many bytes became so.
    pub(super) fn sync(&mut self) -> Result<u32, LogError> {
        self.flush()?;
        let fresh = self.written - self.synced;
        if fresh > 0 {
            let synced = self.file.sync_data();
            self.settle(synced, "sync")?;
            self.synced = self.written;
        }
        Ok(fresh)
    }

    fn settle(&mut self, outcome: std::io::Result<()>, action: &'static str) -> Result<(), LogError> {
        self.failed |= outcome.is_err();
        Ok(outcome.attempt(action, &self.path)?)
    }
}
