//! A checkpoint that comes from another member: staged beside this member's own until the log begins after it.
//!
//! ```text
//!   pieces ─► 2a.staging ─ sync ─ rename ─► 2a.staged ─┬─ the log begins after 2a ─► adopt: 2a.checkpoint, or
//!                                                      │                            its content in another engine
//!                                                      └─ it does not ─► discard
//! ```
//!
//! Invariants: a file named `.staged` is complete and durable; there is at most one; it goes only after its content is
//! durable in another place, or is not wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use internal_proto::LogIndex;

use super::format::{checkpoint_name, is_checkpoint, is_staging, staged_index, staged_path, staging_path};
use super::load::Reader;
use super::write::{Appender, remove};
use super::{Checkpoint, CheckpointError};
use crate::engine::Engine;
use crate::files::{Attempt, File, FileError, Files, is_disk_full};
use crate::identity::Identity;

/// A file that grows piece by piece.
pub struct Staging {
    files: Arc<dyn Files>,
    dir: PathBuf,
    index: LogIndex,
    file: Arc<dyn File>,
    appender: Appender,
}

impl Staging {
    /// Begins, and forgets whatever was staged before.
    ///
    /// # Errors
    /// [`CheckpointError::NoDisk`], and what the operating system refuses.
    pub fn begin(files: &Arc<dyn Files>, dir: &Path, index: LogIndex) -> Result<Self, CheckpointError> {
        files.create_dir(dir).attempt("create the directory", dir)?;
        discard(&**files, dir)?;
        let path = staging_path(dir, index);
        let file = files.create(&path).map_err(|error| refused(dir, &path, error))?;
        Ok(Self { files: Arc::clone(files), dir: dir.to_owned(), index, file, appender: Appender::default() })
    }

    /// Adds a piece, which is durable on return if it is the last of a long stretch.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn append(&mut self, piece: &[u8]) -> Result<(), CheckpointError> {
        let appended = self.appender.append(&*self.file, piece);
        appended.map_err(|error| refused(&self.dir, &staging_path(&self.dir, self.index), error))
    }

    /// Makes the file durable under its name; the index of its checkpoint.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn finish(self) -> Result<LogIndex, CheckpointError> {
        let (dir, path) = (&self.dir, staging_path(&self.dir, self.index));
        self.file.sync_data().map_err(|error| refused(dir, &path, error))?;
        self.files.rename(&path, &staged_path(dir, self.index)).attempt("rename", &path)?;
        self.files.sync_dir(dir).attempt("sync the directory", dir)?;
        Ok(self.index)
    }
}

fn refused(dir: &Path, path: &Path, error: std::io::Error) -> CheckpointError {
    if is_disk_full(&error) {
        return CheckpointError::NoDisk { dir: dir.to_owned() };
    }
    FileError::System { action: "write", file: path.to_owned(), source: error }.into()
}

/// The checkpoint that is staged in `dir`.
///
/// # Errors
/// When the directory cannot be read.
pub fn staged(files: &dyn Files, dir: &Path) -> Result<Option<LogIndex>, CheckpointError> {
    files.create_dir(dir).attempt("create the directory", dir)?;
    let names = files.list(dir).attempt("list the directory", dir)?;
    Ok(names.iter().find_map(|name| staged_index(name)))
}

/// Loads a staged checkpoint into an empty engine, with a pause after each chunk. After an error the engine holds part
/// of the data and no position.
///
/// # Errors
/// [`CheckpointError::Damaged`] and the like: what came is not what was sent.
pub fn load_staged(
    files: &dyn Files,
    dir: &Path,
    identity: Identity,
    index: LogIndex,
    engine: &dyn Engine,
    pause: Duration,
) -> Result<Checkpoint, CheckpointError> {
    let reader = Reader::open(files, staged_path(dir, index), identity)?;
    let found = reader.index();
    if found != index {
        return Err(CheckpointError::WrongName { file: staged_path(dir, index), found });
    }
    reader.run(engine, pause)
}

/// Makes a staged checkpoint the newest one of `dir`, and the only one. The log must begin after it durably.
///
/// # Errors
/// When the directory cannot be changed: the next start does it again.
pub fn adopt(files: &dyn Files, dir: &Path, index: LogIndex) -> Result<(), CheckpointError> {
    let (from, name) = (staged_path(dir, index), checkpoint_name(index));
    files.rename(&from, &dir.join(&name)).attempt("rename", &from)?;
    files.sync_dir(dir).attempt("sync the directory", dir)?;
    remove(files, dir, |other| is_checkpoint(other) && *other < *name)
}

/// Removes what is staged, whole or in part.
///
/// # Errors
/// When the directory cannot be changed.
pub fn discard(files: &dyn Files, dir: &Path) -> Result<(), CheckpointError> {
    remove(files, dir, |name| is_staging(name) || staged_index(name).is_some())
}
