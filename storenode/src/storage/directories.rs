//! RocksDB's directories: one in use, and while a snapshot is installed another one.
//!
//! ```text
//!  rocksdb                     from the member's first start on
//!  rocksdb-000000000000002a    loaded from the snapshot of that index; the newest one counts
//! ```
//!
//! Invariant: a directory that is not to count is removed before the snapshot that it was loaded from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use internal_proto::LogIndex;

use crate::engine::Engine as _;
use crate::engine::rocksdb::{Budget, OpenError, RocksEngine};
use crate::files::{Attempt, FileError};
use crate::identity::Identity;

const FIRST: &str = "rocksdb";

/// Where RocksDB keeps a member's files.
#[derive(Clone)]
pub(super) struct Directories {
    parent: PathBuf,
    identity: Identity,
    cache_bytes: Option<u64>,
}

impl Directories {
    pub(super) fn new(parent: &Path, identity: Identity, cache_bytes: Option<u64>) -> Self {
        Self { parent: parent.to_owned(), identity, cache_bytes }
    }

    /// Opens what counts, and removes the others.
    pub(super) fn open_newest(&self) -> Result<RocksEngine, super::StorageError> {
        let mut all = list(&self.parent)?;
        let newest = all.pop().unwrap_or_else(|| self.parent.join(FIRST));
        for older in all {
            remove(&older)?;
        }
        Ok(self.open_at(&newest)?)
    }

    /// Opens, or begins, the one of a snapshot.
    pub(super) fn open(&self, index: LogIndex) -> Result<RocksEngine, OpenError> {
        self.open_at(&self.of(index))
    }

    /// Whether all of a snapshot is in its directory.
    pub(super) fn is_complete(&self, index: LogIndex) -> bool {
        let path = self.of(index);
        path.is_dir() && self.open_at(&path).is_ok_and(|engine| engine.position().applied >= index)
    }

    /// Removes the one of a snapshot, if there is one.
    pub(super) fn remove(&self, index: LogIndex) -> Result<(), FileError> {
        remove(&self.of(index))
    }

    fn of(&self, index: LogIndex) -> PathBuf {
        self.parent.join(format!("{FIRST}-{:016x}", index.0))
    }

    fn open_at(&self, path: &Path) -> Result<RocksEngine, OpenError> {
        let budget = self.cache_bytes.map_or_else(Budget::of_this_machine, Budget::new);
        RocksEngine::open(path, self.identity, budget)
    }
}

/// The one that counts of a node's own directory; `None` where the engine is another.
pub(crate) fn newest(parent: &Path) -> Result<Option<PathBuf>, FileError> {
    Ok(list(parent)?.pop())
}

/// All there are, the newest last: names sort as indexes do, and the first one's before all others.
fn list(parent: &Path) -> Result<Vec<PathBuf>, FileError> {
    let is_ours = |name: &str| name == FIRST || name.starts_with(&format!("{FIRST}-"));
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.attempt("list the directory", parent)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.attempt("list the directory", parent)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.attempt("remove", path),
    }
}
