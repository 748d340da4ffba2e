//! The engine that keeps everything on disk: records in RocksDB, ordered by their keys, cached within a bound.
//!
//! ```text
//!  Live(key)     sub ‖ KeyValue                              write ──► memtable ──flush──► table files
//!  Version(..)   KeyValue                                                                     │
//!  Change(id)    0 ‖ key, while that version is live         position()  what was written     │
//!                1 ‖ KeyValue, once superseded               durable()   what is in files ◄───┘
//! ```
//!
//! One keyspace in the order of [`Record`], so a batch is one write and a flush cuts history at one position: all
//! that was written up to it, nothing after it. RocksDB's own log is off, since the log replays what is not flushed.
//!
//! Invariants:
//! - A `Change` that refers to `Live` has its id; both are read from one snapshot.
//! - The durable position only grows, and the log is durable beyond it: raft hands out no entry before that.
//! - A failed read or write stops the node, but for a full disk: writes wait for space.

mod budget;
mod flush;
mod open;
mod read;
mod values;
mod write;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ::rocksdb::{DB, Error, ErrorKind};
use bytes::Bytes;
use internal_proto::{KeyRange, Revision};

pub use self::budget::Budget;
pub use self::flush::FlushError;
pub use self::open::{OpenError, inspect};

use super::{Batch, ChangeId, CountGroup, Engine, Position, Sizes, SmallKey, SmallKind, Version, VersionPage};
use crate::engine::keys::Record;
use crate::identity::replace_member;

/// Told the reason when a read or write has failed for good.
type OnFailure = Box<dyn Fn(&str) + Send + Sync>;

/// Everything on disk.
pub struct RocksEngine {
    db: DB,
    dir: PathBuf,
    /// A write waits for space.
    waiting: AtomicBool,
    on_failure: OnceLock<OnFailure>,
    /// Its files go with it.
    retired: AtomicBool,
}

impl RocksEngine {
    /// Has the first final failure told to somebody who can stop the node, whatever thread it happens on.
    pub fn on_failure(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        // Whoever came first stays.
        let _ = self.on_failure.set(Box::new(tell));
    }

    /// Another store has taken this one's place: its files go when nobody reads them any more.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Ends a read or write that has no result. RocksDB's text names the file.
    fn fail(&self, error: &Error) -> ! {
        let what = if error.kind() == ErrorKind::Corruption { "is damaged" } else { "cannot be used" };
        let dir = self.dir.display();
        let reason = format!("the store in {dir} {what}: {error}; {}", replace_member(&self.dir));
        if let Some(tell) = self.on_failure.get() {
            tell(&reason);
        }
        panic!("{reason}")
    }

    fn sound<T>(&self, result: Result<T, Error>) -> T {
        result.unwrap_or_else(|error| self.fail(&error))
    }

    fn property(&self, name: &str) -> u64 {
        self.sound(self.db.property_int_value(name)).unwrap_or_default()
    }
}

impl Drop for RocksEngine {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed) {
            self.db.cancel_all_background_work(true);
            if let Err(error) = std::fs::remove_dir_all(&self.dir) {
                let dir = self.dir.display();
                tracing::warn!(%dir, %error, "the replaced store cannot be removed; the next start tries again");
            }
        }
    }
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RocksEngine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: &Batch) {
        self.write_batch(batch);
    }

    fn position(&self) -> Position {
        let key = Record::Small(SmallKey::Position).encode();
        let found = self.sound(self.db.get_pinned(key));
        found.map_or_else(Position::default, |bytes| values::position(&bytes))
    }

    fn live(&self, key: &[u8]) -> Option<Version> {
        let record = Record::Live(Bytes::copy_from_slice(key));
        let found = self.sound(self.db.get_pinned(record.encode()));
        found.map(|bytes| values::live(&bytes))
    }

    fn scan_live(&self, range: &KeyRange, limit: usize) -> Vec<Version> {
        self.read_live(range, limit)
    }

    fn version(&self, key: &[u8], at: ChangeId) -> Option<Version> {
        self.read_version(key, at)
    }

    fn scan_versions(&self, range: &KeyRange, at: ChangeId, limit: usize) -> VersionPage {
        self.read_versions(range, at, limit)
    }

    fn scan_changes(&self, after: ChangeId, through: Revision, limit: usize) -> Vec<Version> {
        self.read_changes(after, through, limit)
    }

    fn small(&self, key: &SmallKey) -> Option<Bytes> {
        let found = self.sound(self.db.get_pinned(Record::Small(key.clone()).encode()));
        found.map(|bytes| Bytes::copy_from_slice(&bytes))
    }

    fn scan_small(&self, kind: SmallKind, after: Option<&SmallKey>, limit: usize) -> Vec<(SmallKey, Bytes)> {
        self.read_small(kind, after, limit)
    }

    fn counts(&self) -> Option<Vec<CountGroup>> {
        Some(self.read_counts())
    }

    fn sizes(&self) -> Sizes {
        let unflushed = self.property("rocksdb.cur-size-all-mem-tables");
        let total = self.property("rocksdb.total-sst-files-size") + unflushed;
        let in_use = self.property("rocksdb.estimate-live-data-size") + unflushed;
        Sizes { total, in_use: in_use.min(total) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
