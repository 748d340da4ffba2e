//! Making what was written durable, and telling how far it is.

use std::path::PathBuf;

use ::rocksdb::{Error, ErrorKind, ReadOptions, ReadTier};

use super::{RocksEngine, values};
use crate::engine::keys::Record;
use crate::engine::{Engine as _, Position, SmallKey};

/// What a flush takes beside the data: indexes, filters, the manifest.
const FLUSH_MARGIN: u64 = 4 << 20;

/// Why what was written is not durable.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// There is no space: what was written stays in memory and in the log.
    #[error("no space for the store in {}: {reason}", .dir.display())]
    NoDisk {
        /// The store.
        dir: PathBuf,
        /// RocksDB's words.
        reason: String,
    },
    /// Anything else is final.
    #[error("the store in {} cannot be written: {reason}", .dir.display())]
    Failed {
        /// The store.
        dir: PathBuf,
        /// RocksDB's words.
        reason: String,
    },
}

impl RocksEngine {
    /// Writes what is in memory into files. Returns what is durable then, at least all that was written before the
    /// call. Blocks for as long as the disk takes; writes go on.
    ///
    /// # Errors
    /// [`FlushError`]. A flush that runs out of space makes RocksDB refuse writes until there is some, so one that
    /// foreseeably would is not begun.
    pub fn flush(&self) -> Result<Position, FlushError> {
        let needed = self.property("rocksdb.cur-size-all-mem-tables") + FLUSH_MARGIN;
        if let Some(free) = self.free_bytes()
            && free < needed
        {
            let reason = format!("{needed} bytes are needed, {free} are free");
            return Err(FlushError::NoDisk { dir: self.dir.clone(), reason });
        }
        let flushed = self.db.flush().and_then(|()| self.durable());
        flushed.map_err(|error| {
            let (dir, reason) = (self.dir.clone(), error.to_string());
            if is_no_space(&error) { FlushError::NoDisk { dir, reason } } else { FlushError::Failed { dir, reason } }
        })
    }

    /// What is free where the files are; `None` if the system does not tell.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.dir).ok()?;
        Some(found.f_bavail * found.f_frsize)
    }

    /// The position through which everything is in files: what a power loss leaves.
    fn durable(&self) -> Result<Position, Error> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::Persisted);
        let found = self.db.get_pinned_opt(Record::Small(SmallKey::Position).encode(), &options)?;
        let durable = found.map_or_else(Position::default, |bytes| values::position(&bytes));
        debug_assert!(durable.applied <= self.position().applied);
        Ok(durable)
    }
}

/// Whether an operation failed for want of space alone.
pub(super) fn is_no_space(error: &Error) -> bool {
    error.kind() == ErrorKind::IOError && error.as_ref().contains("No space left on device")
}
