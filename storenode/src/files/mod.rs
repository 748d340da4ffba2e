//! The file layer: everything durable goes through these two traits.
//!
//! ```text
//!   log, checkpoints ──► dyn Files ──┬─► Disk        the operating system's files
//!                                    └─► PowerLoss   in memory; forgets what was not synced
//! ```
//!
//! Invariants a user of the traits relies on, and nothing more:
//! - Bytes are durable after [`File::sync_data`] returned, a creation, rename or removal after
//!   [`Files::sync_dir`] of its directory returned. Before that any part of them may vanish.
//! - A rename within one directory is atomic.
//! - Writing inside a range that [`File::allocate`] returned for needs no further space.

pub mod disk;
mod error;
pub mod power_loss;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use disk::Disk;
pub(crate) use error::Attempt;
pub use error::FileError;
pub use power_loss::PowerLoss;

/// A file system, as far as a storage node needs one.
pub trait Files: Send + Sync {
    /// Creates an empty file; fails with `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name in the same directory, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; its space is free once no handle to it is left.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted; a missing directory is `NotFound`.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory with its missing parents, durable on return; an existing one is left as it is.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; size];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// One open file. Handles are shared; concurrent calls on disjoint ranges are independent.
pub trait File: Send + Sync {
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`; `UnexpectedEof` if the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, extending the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all written bytes, and the length needed to read them, durable. A failure is final: the
    /// kernel may have dropped the bytes, so a later success says nothing about them.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves the first `bytes` of an empty file and fills them with zeros, durable on return.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
}

/// Whether an error says that the disk or the quota is full: a condition that an operator can end.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
