//! Looks at the data of a node that does not run, and changes nothing.
//!
//! ```text
//!  log     every record read and checked
//!  store   every record of the newest checkpoint, or of RocksDB's files, read and checked
//!  state   what a start would recover: the store, and what is committed in the log above it
//! ```

pub mod content;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use internal_proto::LogIndex;

use crate::background::Place;
use crate::engine::checkpoint::{self, CheckpointError};
use crate::engine::memory::MemoryEngine;
use crate::engine::rocksdb::inspect;
use crate::engine::{Engine as _, Position};
use crate::files::{Files, ReadOnly};
use crate::identity::Identity;
use crate::log::{Log, LogError, Options, Recovered, SEGMENT_BYTES};
use crate::raft::recovery;
use crate::storage::directories;

/// Bytes of entries read at once.
const READ_BYTES: usize = 4 << 20;

/// What one part of a node's data is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which part.
    pub part: &'static str,
    /// What it holds, or what is wrong with it and what to do.
    pub outcome: Result<String, String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(content) => write!(formatter, "{:<6} ok       {content}", self.part),
            Err(reason) => write!(formatter, "{:<6} DAMAGED  {reason}", self.part),
        }
    }
}

/// Looks at a node's own directory; one finding for each part. Nobody else may have it open.
#[must_use]
pub fn verify(dir: &Path, identity: Identity) -> Vec<Finding> {
    let files: Arc<dyn Files> = Arc::new(ReadOnly);
    let log_dir = dir.join("log");
    if files.list(&log_dir).is_ok_and(|names| names.is_empty()) {
        return vec![Finding { part: "log", outcome: Ok("empty: the node has never served".to_owned()) }];
    }
    let place = Place { files, dir: dir.join("checkpoints"), identity };
    let opened = open(&place, &log_dir);
    let begins = opened.as_ref().ok().and_then(|(_, recovered)| Some(recovered.start.as_ref()?.index));
    let stored = store(&place, dir, begins);
    let described = stored.as_ref().map(|stored| stored.description.clone()).map_err(Clone::clone);
    let (log, state) = match opened.map_err(|error| error.to_string()) {
        Err(reason) => (Err(reason), Err("unknown, as the log cannot be opened".to_owned())),
        Ok((mut log, recovered)) => (
            read(&mut log, &recovered).map_err(|error| error.to_string()),
            stored.and_then(|stored| state(stored, &mut log, &recovered)),
        ),
    };
    [("log", log), ("store", described), ("state", state)].map(|(part, outcome)| Finding { part, outcome }).into()
}

fn open(place: &Place, log_dir: &Path) -> Result<(Log, Recovered), LogError> {
    let options = Options { identity: place.identity, segment_bytes: SEGMENT_BYTES };
    Log::open(Arc::clone(&place.files), log_dir, options)
}

fn read(log: &mut Log, recovered: &Recovered) -> Result<String, LogError> {
    let (first, last) = (log.first_index(), log.last_index());
    let mut next = first;
    while next <= last {
        let entries = log.entries(next, last.next(), READ_BYTES)?;
        next = entries.last().map_or(last, |entry| entry.index).next();
    }
    let torn = recovered.cut.as_ref().map_or_else(String::new, |cut| {
        format!("; a write that was never acknowledged is torn at offset {} of {}", cut.offset, cut.file.display())
    });
    Ok(format!("entries {first} to {last}{torn}"))
}

/// What is durable without the log.
struct Stored {
    description: String,
    content: Content,
}

enum Content {
    /// All of it, to apply more to.
    Loaded(Arc<MemoryEngine>),
    /// Only where it is: it cannot be changed.
    OnDisk(Position),
}

/// Looks at what a start would open when the log begins after `begins`.
fn store(place: &Place, dir: &Path, begins: Option<LogIndex>) -> Result<Stored, String> {
    let staged = checkpoint::staged(&*place.files, &place.dir).map_err(|error| error.to_string())?;
    let on_disk = directories::newest(dir).map_err(|error| error.to_string())?;
    if let Some(index) = staged.filter(|_| staged == begins) {
        let load = |engine: &MemoryEngine| {
            checkpoint::load_staged(&*place.files, &place.dir, place.identity, index, engine, Duration::ZERO).map(Some)
        };
        return loaded(load, "snapshot of another member, which the next start installs,");
    }
    let Some(on_disk) = on_disk else {
        return loaded(|engine| checkpoint::load(&*place.files, &place.dir, place.identity, engine), "checkpoint");
    };
    let (position, records) = inspect(&on_disk, place.identity).map_err(|error| error.to_string())?;
    let description = format!("RocksDB through entry {}, {records} records", position.applied);
    Ok(Stored { description, content: Content::OnDisk(position) })
}

fn loaded(
    load: impl FnOnce(&MemoryEngine) -> Result<Option<checkpoint::Checkpoint>, CheckpointError>,
    kind: &str,
) -> Result<Stored, String> {
    let engine = Arc::new(MemoryEngine::default());
    let description = match load(&engine).map_err(|error| error.to_string())? {
        Some(found) => format!("{kind} through entry {}, {} bytes", found.index, found.bytes),
        None => "no checkpoint yet".to_owned(),
    };
    Ok(Stored { description, content: Content::Loaded(engine) })
}

fn state(stored: Stored, log: &mut Log, recovered: &Recovered) -> Result<String, String> {
    let position = match stored.content {
        Content::Loaded(engine) => {
            recovery::restore(engine.clone(), log, recovered).map_err(|error| error.to_string())?;
            engine.position()
        }
        Content::OnDisk(position) => {
            recovery::reach(position.applied, recovered).map_err(|error| error.to_string())?;
            position
        }
    };
    let commit = recovered.hard_state.commit.max(position.applied);
    Ok(format!("revision {} through entry {}, committed through {commit}", position.revision, position.applied))
}
