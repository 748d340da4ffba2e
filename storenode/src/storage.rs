//! The engine that a node was told to use, opened, and the way its content becomes durable.
//!
//! ```text
//!  memory    checkpoint ──load──► engine      durable by a checkpoint of a view, written aside
//!  rocksdb   files ──────open───► engine      durable by flushing what is not in files yet
//!  both      snapshot ───load──► another engine, which takes the place of the first
//! ```
//!
//! Invariant: what is reported as durable is on disk through that index, so the log up to it may go.

pub(crate) mod directories;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use internal_proto::LogIndex;

use crate::background::Place;
use crate::config;
use crate::engine::Engine;
use crate::engine::checkpoint::{self, Checkpoint, CheckpointError};
use crate::engine::memory::MemoryEngine;
use crate::engine::rocksdb::{FlushError, OpenError, RocksEngine};
use crate::files::FileError;
use crate::state::{Reader, StateError};
use directories::Directories;

/// Free space below which no new data is taken in, so that what was taken in can be flushed and compacted.
const RESERVED_BYTES: u64 = 256 << 20;

/// An engine, opened.
pub(crate) struct Storage {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) durability: Durability,
    /// What was durable at the start.
    pub(crate) durable: Option<Durable>,
}

/// How an engine's content becomes durable.
#[derive(Clone)]
pub(crate) enum Durability {
    /// By writing all of it aside.
    Checkpoints,
    /// By flushing the rest of it.
    Flushes(Arc<RocksEngine>),
}

/// What is durable without the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    /// Entries through this one are in it.
    pub(crate) index: LogIndex,
    /// What writing it took.
    pub(crate) bytes: u64,
}

/// Why an engine cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// RocksDB.
    #[error(transparent)]
    RocksDb(#[from] OpenError),
    /// RocksDB, filled from a snapshot.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// What a snapshot has brought.
    #[error(transparent)]
    State(#[from] StateError),
    /// A directory of RocksDB.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why the content did not become durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// RocksDB could not flush.
    #[error(transparent)]
    Flush(#[from] FlushError),
}

impl SaveError {
    /// Whether there was no space, and all is as it was.
    pub(crate) fn is_no_disk(&self) -> bool {
        match self {
            Self::Checkpoint(error) => error.is_no_disk(),
            Self::Flush(error) => matches!(error, FlushError::NoDisk { .. }),
        }
    }
}

impl From<Checkpoint> for Durable {
    fn from(checkpoint: Checkpoint) -> Self {
        Self { index: checkpoint.index, bytes: checkpoint.bytes }
    }
}

/// Where a node's engines are, and of which kind.
#[derive(Clone)]
pub(crate) struct Storages {
    place: Place,
    /// `None` for the memory engine.
    rocksdb: Option<Directories>,
}

impl Storages {
    /// RocksDB keeps its files in directories of `dir`.
    pub(crate) fn new(engine: config::Engine, place: Place, dir: &Path) -> Self {
        let rocksdb = match engine {
            config::Engine::Memory => None,
            config::Engine::RocksDb { cache_bytes } => Some(Directories::new(dir, place.identity, cache_bytes)),
        };
        Self { place, rocksdb }
    }

    /// Where checkpoints and snapshots are.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Opens the engine. `begins` is where the log was begun after another member's snapshot: what was staged of that
    /// very snapshot takes the place of what was there before, and anything else that was staged goes.
    pub(crate) fn open(&self, begins: Option<LogIndex>) -> Result<Storage, StorageError> {
        let Place { files, dir, identity } = &self.place;
        let staged = checkpoint::staged(&**files, dir)?;
        match staged {
            Some(index) if begins == staged => {
                let loaded = self.rocksdb.as_ref().is_none_or(|directories| directories.is_complete(index));
                if !loaded {
                    drop(self.load_staged(index, Duration::ZERO)?);
                }
                self.adopt(index)?;
            }
            Some(index) => self.discard(index)?,
            None => checkpoint::discard(&**files, dir)?,
        }
        if let Some(directories) = &self.rocksdb {
            return Ok(on_disk(directories.open_newest()?));
        }
        let engine = Arc::new(MemoryEngine::default());
        let durable = checkpoint::load(&**files, dir, *identity, &*engine)?;
        Ok(Storage { engine, durability: Durability::Checkpoints, durable: durable.map(Durable::from) })
    }

    /// Fills another engine from a staged snapshot, durable on return. The one in use knows nothing of it. One that
    /// writes to the disk meanwhile rests after each chunk.
    pub(crate) fn load_staged(&self, index: LogIndex, rest: Duration) -> Result<Storage, StorageError> {
        let Place { files, dir, identity } = &self.place;
        let load = |engine: &dyn Engine, rest| checkpoint::load_staged(&**files, dir, *identity, index, engine, rest);
        if let Some(directories) = &self.rocksdb {
            directories.remove(index)?;
            let engine = directories.open(index)?;
            load(&engine, rest)?;
            engine.flush()?;
            return Ok(on_disk(engine));
        }
        let engine = Arc::new(MemoryEngine::default());
        let durable = load(&*engine, Duration::ZERO)?.into();
        Ok(Storage { engine, durability: Durability::Checkpoints, durable: Some(durable) })
    }

    /// The log begins after the staged snapshot, durably: from now on the next start opens what was loaded from it.
    pub(crate) fn adopt(&self, index: LogIndex) -> Result<(), CheckpointError> {
        let Place { files, dir, .. } = &self.place;
        match self.rocksdb {
            None => checkpoint::adopt(&**files, dir, index),
            Some(_) => checkpoint::discard(&**files, dir),
        }
    }

    /// The staged snapshot is not wanted.
    pub(crate) fn discard(&self, index: LogIndex) -> Result<(), StorageError> {
        if let Some(directories) = &self.rocksdb {
            directories.remove(index)?;
        }
        Ok(checkpoint::discard(&*self.place.files, &self.place.dir)?)
    }
}

fn on_disk(engine: RocksEngine) -> Storage {
    let engine = Arc::new(engine);
    let durable = Durable { index: engine.position().applied, bytes: 0 };
    Storage { engine: engine.clone(), durability: Durability::Flushes(engine), durable: Some(durable) }
}

impl Durability {
    /// Has the first final failure of a read or write told; the memory engine has none.
    pub(crate) fn on_failure(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        if let Self::Flushes(engine) = self {
            engine.on_failure(tell);
        }
    }

    /// Another engine has taken this one's place: nothing of it is left when its last reader is done.
    pub(crate) fn retire(&self) {
        if let Self::Flushes(engine) = self {
            engine.retire();
        }
    }

    /// The work that makes durable what the reader shows now. Meant for a thread of its own.
    pub(crate) fn save(
        &self,
        place: &Place,
        reader: &Reader,
    ) -> Box<dyn FnOnce() -> Result<Durable, SaveError> + Send> {
        match self {
            Self::Checkpoints => {
                let (place, view) = (place.clone(), reader.view());
                Box::new(move || {
                    Ok(checkpoint::write(&*place.files, &place.dir, place.identity, &view).map(Durable::from)?)
                })
            }
            Self::Flushes(engine) => {
                let engine = Arc::clone(engine);
                Box::new(move || {
                    let position = engine.flush()?;
                    Ok(Durable { index: position.applied, bytes: 0 })
                })
            }
        }
    }

    /// Whether the engine can take in more. The memory engine writes nothing until the next checkpoint, which may
    /// fail without harm.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Checkpoints => true,
            Self::Flushes(engine) => engine.free_bytes().is_none_or(|free| free >= RESERVED_BYTES),
        }
    }
}
