//! Writing a checkpoint: chunk after chunk into a file of another name, which gets its own when all is durable.

use std::io;
use std::path::Path;

use super::chunk::{CHUNK_HEADER_BYTES, Kind, Place, seal};
use super::format::{Header, checkpoint_name, is_checkpoint, is_leftover, writing_path};
use super::record::{self, RECORD_HEADER_BYTES, Totals};
use super::{Checkpoint, CheckpointError, Content};
use crate::engine::keys::Record;
use crate::engine::{CHUNK, ChangeId};
use crate::files::{Attempt, File, FileError, Files, is_disk_full};
use crate::identity::Identity;

/// What a chunk may grow to before the next begins; a record larger than that has a chunk of its own. Large enough
/// that the system calls are few, small enough to stay in the processor's cache.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// Written bytes are synced in pieces of this size, so that the syncs of a busy log on the same disk never queue
/// behind a whole checkpoint.
const SYNC_BYTES: u64 = 32 << 20;

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
    let header = Header { identity, position: content.position() };
    let position = header.position;
    let name = checkpoint_name(position.applied);
    let bytes = write_file(files, dir, header, content, chunk_bytes).map_err(|error| {
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

fn write_file(
    files: &dyn Files,
    dir: &Path,
    header: Header,
    content: &dyn Content,
    chunk_bytes: usize,
) -> io::Result<u64> {
    let index = header.position.applied;
    let path = writing_path(dir, index);
    let file = files.create(&path)?;
    let bytes = Writer::begin(&*file, header, chunk_bytes)?.run(content)?;
    file.sync_data()?;
    files.rename(&path, &dir.join(checkpoint_name(index)))?;
    files.sync_dir(dir)?;
    Ok(bytes)
}

/// Removes the files of some names, durably.
pub(super) fn remove(files: &dyn Files, dir: &Path, which: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
    let mut names = files.list(dir).attempt("list the directory", dir)?;
    names.retain(|name| which(name));
    for path in names.iter().map(|name| dir.join(name)) {
        files.remove(&path).attempt("remove", &path)?;
    }
    if !names.is_empty() {
        files.sync_dir(dir).attempt("sync the directory", dir)?;
    }
    Ok(())
}

struct Writer<'a> {
    file: &'a dyn File,
    chunk_bytes: usize,
    /// The chunk that is being filled, from its header on.
    chunk: Vec<u8>,
    place: Place,
    offset: u64,
    synced: u64,
    totals: Totals,
}

impl<'a> Writer<'a> {
    fn begin(file: &'a dyn File, header: Header, chunk_bytes: usize) -> io::Result<Self> {
        let (bytes, checkpoint) = header.encode();
        file.write_at(&bytes, 0)?;
        let mut chunk = Vec::with_capacity(CHUNK_HEADER_BYTES + chunk_bytes);
        chunk.resize(CHUNK_HEADER_BYTES, 0);
        let place = Place { checkpoint, number: 0 };
        let offset = bytes.len() as u64;
        Ok(Self { file, chunk_bytes, chunk, place, offset, synced: 0, totals: Totals::default() })
    }

    /// Writes everything; the file's size.
    fn run(mut self, content: &dyn Content) -> io::Result<u64> {
        for (key, value) in content.small_records() {
            let key = Record::Small(key.clone()).encode();
            self.make_room(Kind::Small, key.len() + value.len())?;
            record::put_small(&mut self.chunk, &key, value);
            self.totals.small += 1;
        }
        self.finish_chunk(Kind::Small)?;
        let mut after = ChangeId::default();
        loop {
            let versions = content.versions(after, CHUNK);
            let Some(last) = versions.last() else { break };
            after = last.id;
            for version in &versions {
                self.make_room(Kind::Versions, version.kv.encoded().len())?;
                record::put_version(&mut self.chunk, version);
                self.totals.versions += 1;
            }
        }
        self.finish_chunk(Kind::Versions)?;
        self.totals.put(&mut self.chunk);
        self.finish_chunk(Kind::End)?;
        Ok(self.offset)
    }

    /// Begins another chunk if a record would make this one too large.
    fn make_room(&mut self, kind: Kind, bytes: usize) -> io::Result<()> {
        if self.chunk.len() + RECORD_HEADER_BYTES + bytes > CHUNK_HEADER_BYTES + self.chunk_bytes {
            self.finish_chunk(kind)?;
        }
        Ok(())
    }

    /// Writes the chunk, if there is anything in it.
    fn finish_chunk(&mut self, kind: Kind) -> io::Result<()> {
        if self.chunk.len() == CHUNK_HEADER_BYTES {
            return Ok(());
        }
        seal(&mut self.chunk, kind, self.place);
        self.file.write_at(&self.chunk, self.offset)?;
        self.offset += self.chunk.len() as u64;
        self.place = self.place.next();
        self.chunk.truncate(CHUNK_HEADER_BYTES);
        if self.offset - self.synced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.offset;
        }
        Ok(())
    }
}
