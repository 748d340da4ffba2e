//! Loading: every checkpoint of the directory is known by its header, the newest is read, the others go.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use internal_proto::LogIndex;

use super::chunk::{CHUNK_HEADER_BYTES, ChunkHeader, Kind, Place};
use super::format::{FORMAT_VERSION, HEADER_BYTES, Header, HeaderCheck, checkpoint_name, is_checkpoint, is_leftover};
use super::record::{self, Totals};
use super::write::remove;
use super::{Checkpoint, CheckpointError};
use crate::engine::loading::Loading;
use crate::engine::{ChangeId, Engine};
use crate::files::{Attempt, File, FileError, Files};
use crate::identity::Identity;

/// Loads the newest checkpoint of `dir` and removes whatever else a crash left there.
pub(super) fn load(
    files: &dyn Files,
    dir: &Path,
    identity: Identity,
    engine: &dyn Engine,
) -> Result<Option<Checkpoint>, CheckpointError> {
    files.create_dir(dir).attempt("create the directory", dir)?;
    // A rename that a crash left in the page cache only becomes durable before anything builds on it.
    files.sync_dir(dir).attempt("sync the directory", dir)?;
    let mut newest: Option<Reader> = None;
    for name in files.list(dir).attempt("list the directory", dir)?.iter().filter(|name| is_checkpoint(name)) {
        let reader = Reader::open(files, dir.join(name), identity)?;
        let index = reader.header.position.applied;
        if *name != checkpoint_name(index) {
            return Err(CheckpointError::WrongName { file: reader.path, found: index });
        }
        // Names are listed in order.
        newest = Some(reader);
    }
    let mut loaded = None;
    let mut keep = None;
    if let Some(reader) = newest {
        keep = Some(checkpoint_name(reader.header.position.applied));
        loaded = Some(reader.run(engine, Duration::ZERO)?);
    }
    remove(files, dir, |name| is_leftover(name) || is_checkpoint(name) && Some(name) != keep.as_deref())?;
    Ok(loaded)
}

pub(super) struct Reader {
    path: PathBuf,
    file: Arc<dyn File>,
    header: Header,
    bytes: u64,
    /// Where the chunk to read next starts, and as which it must check.
    offset: u64,
    place: Place,
}

impl Reader {
    pub(super) fn open(files: &dyn Files, path: PathBuf, identity: Identity) -> Result<Self, CheckpointError> {
        let file = files.open(&path).attempt("open", &path)?;
        let bytes = file.size().attempt("measure", &path)?;
        let mut start = [0; HEADER_BYTES];
        let there = usize::try_from(bytes).map_or(HEADER_BYTES, |bytes| bytes.min(HEADER_BYTES));
        file.read_at(&mut start[..there], 0).attempt("read", &path)?;
        match Header::check(&start[..there]) {
            HeaderCheck::Valid(header, checkpoint) if header.identity == identity => {
                let place = Place { checkpoint, number: 0 };
                Ok(Self { path, file, header, bytes, offset: HEADER_BYTES as u64, place })
            }
            HeaderCheck::Valid(Header { identity: found, .. }, _) => {
                Err(FileError::OtherMember { content: "checkpoint", file: path, found, expected: identity }.into())
            }
            HeaderCheck::Newer(found) => {
                Err(FileError::NewerFormat { file: path, found, known: FORMAT_VERSION }.into())
            }
            HeaderCheck::Invalid => Err(CheckpointError::Damaged { file: path, offset: 0 }),
        }
    }

    /// The last entry applied to what the file holds.
    pub(super) fn index(&self) -> LogIndex {
        self.header.position.applied
    }

    /// Reads every chunk into the engine, with a pause after each; its position comes last.
    pub(super) fn run(mut self, engine: &dyn Engine, pause: Duration) -> Result<Checkpoint, CheckpointError> {
        let position = self.header.position;
        let mut loading = Loading::new(engine);
        let mut found = Totals::default();
        let mut last = ChangeId::default();
        let mut payload = Vec::new();
        loop {
            let (file, offset) = (self.path.clone(), self.offset);
            let damaged = || CheckpointError::Damaged { file, offset };
            match self.next(&mut payload)? {
                None => return Err(damaged()),
                Some(Kind::Small) => {
                    let records = record::small_records(&payload).ok_or_else(damaged)?;
                    found.small += records.len() as u64;
                    loading.small_records(records);
                }
                Some(Kind::Versions) => {
                    let versions = record::versions(&payload, last).ok_or_else(damaged)?;
                    found.versions += versions.len() as u64;
                    last = versions.last().map_or(last, |version| version.id);
                    loading.versions(versions);
                    if !pause.is_zero() {
                        std::thread::sleep(pause);
                    }
                }
                Some(Kind::End) => {
                    let complete = Totals::decode(&payload) == Some(found) && last.revision <= position.revision;
                    if !complete || self.offset != self.bytes {
                        return Err(damaged());
                    }
                    loading.finish(position);
                    return Ok(Checkpoint { index: position.applied, term: position.term, bytes: self.bytes });
                }
            }
        }
    }

    /// Reads the next chunk; `None` if there is none that checks.
    fn next(&mut self, payload: &mut Vec<u8>) -> Result<Option<Kind>, CheckpointError> {
        let mut start = [0; CHUNK_HEADER_BYTES];
        let Some(rest) = (self.bytes - self.offset).checked_sub(CHUNK_HEADER_BYTES as u64) else { return Ok(None) };
        self.file.read_at(&mut start, self.offset).attempt("read", &self.path)?;
        let header = ChunkHeader::check(&start, self.place).filter(|header| u64::from(header.length) <= rest);
        let Some(header) = header else { return Ok(None) };
        payload.resize(header.length as usize, 0);
        let from = self.offset + CHUNK_HEADER_BYTES as u64;
        self.file.read_at(payload, from).attempt("read", &self.path)?;
        if !header.covers(payload, self.place) {
            return Ok(None);
        }
        self.offset = from + u64::from(header.length);
        self.place = self.place.next();
        Ok(Some(header.kind))
    }
}
