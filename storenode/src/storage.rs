//! The engine that a node was told to use, opened, and the way its content becomes durable.
//!
//! ```text
//!  memory    checkpoint ──load──► engine      durable by a checkpoint of a view, written aside
//!  rocksdb   files ──────open───► engine      durable by flushing what is not in files yet
//! ```
//!
//! Invariant: what is reported as durable is on disk through that index, so the log up to it may go.

use std::path::Path;
use std::sync::Arc;

use internal_proto::LogIndex;

use crate::background::Place;
use crate::config;
use crate::engine::Engine;
use crate::engine::checkpoint::{self, Checkpoint, CheckpointError};
use crate::engine::memory::MemoryEngine;
use crate::engine::rocksdb::{Budget, FlushError, OpenError, RocksEngine};
use crate::state::Reader;

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

/// Opens the engine; RocksDB keeps its files in `dir`.
pub(crate) fn open(engine: config::Engine, place: &Place, dir: &Path) -> Result<Storage, StorageError> {
    match engine {
        config::Engine::Memory => {
            let engine = Arc::new(MemoryEngine::default());
            let durable = checkpoint::load(&*place.files, &place.dir, place.identity, &*engine)?;
            Ok(Storage { engine, durability: Durability::Checkpoints, durable: durable.map(Durable::from) })
        }
        config::Engine::RocksDb { cache_bytes } => {
            let budget = cache_bytes.map_or_else(Budget::of_this_machine, Budget::new);
            let engine = Arc::new(RocksEngine::open(dir, place.identity, budget)?);
            let durable = Durable { index: engine.position().applied, bytes: 0 };
            Ok(Storage { engine: engine.clone(), durability: Durability::Flushes(engine), durable: Some(durable) })
        }
    }
}

impl Durability {
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
