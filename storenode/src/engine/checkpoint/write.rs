//! Writing a checkpoint: chunk after chunk into a file of another name, which gets its own when all is durable.

use std::io;
use std::path::Path;

use internal_proto::LogIndex;

use super::chunks::Chunks;
use super::format::{checkpoint_name, is_checkpoint, is_leftover, writing_path};
use super::{Checkpoint, CheckpointError, Content};
use crate::files::{Attempt, File, FileError, Files, is_disk_full};
use crate::identity::Identity;

/// What a chunk may grow to before the next begins; a record larger than that has a chunk of its own. Large enough
/// that the system calls are few, small enough to stay in the processor's cache.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Written bytes are synced in pieces of this size: the next sync of a busy log on the same disk queues behind one of
/// them, which takes milliseconds, and not behind a whole checkpoint.
const SYNC_BYTES: u64 = 1 << 20;

/// Makes the content the newest checkpoint of `dir`, and the only one.
pub(super) fn write(
    files: &dyn Files,
    dir: &Path,
    identity: Identity,
    content: &dyn Content,
    chunk_bytes: usize,
) -> Result<Checkpoint, CheckpointError> {
    files.create_dir(dir).attempt("create the directory", dir)?;
    remove(files, dir, is_leftover)?;
    let position = content.position();
    let name = checkpoint_name(position.applied);
    let bytes =
        write_file(files, dir, Chunks::new(content, identity, chunk_bytes), position.applied).map_err(|error| {
            // Only the space matters: a file that cannot be removed now is removed by the next attempt or start.
            let _ = files.remove(&writing_path(dir, position.applied));
            if is_disk_full(&error) {
                return CheckpointError::NoDisk { dir: dir.to_owned() };
            }
            FileError::System { action: "write", file: dir.join(&name), source: error }.into()
        })?;
    remove(files, dir, |other| is_checkpoint(other) && *other < *name)?;
    Ok(Checkpoint { index: position.applied, term: position.term, bytes })
}

fn write_file(files: &dyn Files, dir: &Path, chunks: Chunks<&dyn Content>, index: LogIndex) -> io::Result<u64> {
    let path = writing_path(dir, index);
    let file = files.create(&path)?;
    let mut appender = Appender::default();
    for chunk in chunks {
        appender.append(&*file, &chunk)?;
    }
    file.sync_data()?;
    files.rename(&path, &dir.join(checkpoint_name(index)))?;
    files.sync_dir(dir)?;
    Ok(appender.offset)
}

/// Removes the files of some names, durably.
pub(super) fn remove(files: &dyn Files, dir: &Path, which: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
    let mut names = files.list(dir).attempt("list the directory", dir)?;
    names.retain(|name| which(name));
    for path in names.iter().map(|name| dir.join(name)) {
        match files.remove(&path) {
            // A checkpoint and a snapshot that take over at the same time remove the same ones.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.attempt("remove", &path)?,
        }
    }
    if !names.is_empty() {
        files.sync_dir(dir).attempt("sync the directory", dir)?;
    }
    Ok(())
}

/// Writes one piece after another.
#[derive(Debug, Default)]
pub(super) struct Appender {
    offset: u64,
    synced: u64,
}

impl Appender {
    pub(super) fn append(&mut self, file: &dyn File, bytes: &[u8]) -> io::Result<()> {
        file.write_at(bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        if self.offset - self.synced >= SYNC_BYTES {
            file.sync_data()?;
            self.synced = self.offset;
        }
        Ok(())
    }
}
