//! Checkpoints: everything the memory engine holds at one applied index, in one file.
//!
//! ```text
//!  View ──write──► 000000000000002a.writing ── sync ── rename ── sync dir ──► 000000000000002a.checkpoint
//!                                                                                 │     then older ones go
//!  empty Engine ◄──────────────────────── load, chunk by chunk ───────────────────┘
//! ```
//!
//! A file holds the records that have no history and every retained version in the order of history. That order is
//! the one in which an engine takes versions, so loading is writing them again: what an engine derives from them
//! follows by itself, and the file fits every engine.
//!
//! Invariants:
//! - A file named `.checkpoint` is complete and durable. A crash at any moment leaves the old one or the new one.
//! - Damage of any kind is refused by name and never skipped, since the log below a checkpoint is gone.
//! - Memory beyond the engine's own is bounded by one chunk.

mod chunk;
mod chunks;
mod error;
mod format;
mod load;
mod record;
mod staging;
mod write;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{LogIndex, Term};

pub use chunks::Chunks;
pub use error::CheckpointError;
pub use staging::{Staging, adopt, discard, load_staged, staged};
use write::CHUNK_BYTES;

use super::{ChangeId, Engine, Position, SmallKey, Version};
use crate::files::Files;
use crate::identity::Identity;

/// What a checkpoint is made of: everything of one position, which does not change while it is read.
pub trait Content {
    /// The position.
    fn position(&self) -> Position;

    /// Every small record except the position and those that are derived.
    fn small_records(&self) -> &[(SmallKey, Bytes)];

    /// The next up to `limit` retained versions after one, in the order of history; empty at the end.
    fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version>;
}

impl<C: Content + ?Sized> Content for &C {
    fn position(&self) -> Position {
        (**self).position()
    }

    fn small_records(&self) -> &[(SmallKey, Bytes)] {
        (**self).small_records()
    }

    fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version> {
        (**self).versions(after, limit)
    }
}

impl<C: Content + ?Sized> Content for Arc<C> {
    fn position(&self) -> Position {
        (**self).position()
    }

    fn small_records(&self) -> &[(SmallKey, Bytes)] {
        (**self).small_records()
    }

    fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version> {
        (**self).versions(after, limit)
    }
}

/// A checkpoint on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last entry applied to what it holds.
    pub index: LogIndex,
    /// The term of that entry.
    pub term: Term,
    /// The file's size.
    pub bytes: u64,
}

/// Writes the content into `dir`, durable on return, and removes older checkpoints then. Meant for a
/// thread of its own, one at a time per directory.
///
/// # Errors
/// [`CheckpointError::NoDisk`] leaves the older checkpoints as they were, and so does [`CheckpointError::File`] unless
/// it names one of them.
pub fn write(
    files: &dyn Files,
    dir: &Path,
    identity: Identity,
    content: &dyn Content,
) -> Result<Checkpoint, CheckpointError> {
    write::write(files, dir, identity, content, CHUNK_BYTES)
}

/// Loads the newest checkpoint of `dir` into an empty engine; `None` if there is none. Finishes what a crash
/// interrupted: files half written and older checkpoints are removed. After an error the engine holds part of the data
/// and no position.
///
/// # Errors
/// [`CheckpointError`] when the checkpoint, or the directory, is not as [`write()`] left it.
pub fn load(
    files: &dyn Files,
    dir: &Path,
    identity: Identity,
    engine: &dyn Engine,
) -> Result<Option<Checkpoint>, CheckpointError> {
    load::load(files, dir, identity, engine)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
