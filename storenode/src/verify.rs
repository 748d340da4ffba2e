//! Looks at the data of a node that does not run, and changes nothing.
//!
//! ```text
//!  log          every record read and checked
//!  checkpoint   every record read, checked and loaded
//!  state        what a start would recover: the checkpoint, and what is committed in the log above it
//! ```

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use internal_proto::LogIndex;

use crate::background::Place;
use crate::config;
use crate::engine::checkpoint;
use crate::engine::memory::MemoryEngine;
use crate::files::{Files, ReadOnly};
use crate::identity::Identity;
use crate::log::{Log, LogError, Options, SEGMENT_BYTES};
use crate::raft::core::Timing;
use crate::raft::recovery;
use crate::storage;

/// Bytes of entries read at once.
const READ_BYTES: usize = 4 << 20;

/// Nothing is elected while data is looked at.
const NO_ELECTION: Timing = Timing { heartbeat: 1, election: 10, first_election: 10, election_end: 11, pre_vote: true };

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
            Ok(content) => write!(formatter, "{:<10} ok       {content}", self.part),
            Err(reason) => write!(formatter, "{:<10} DAMAGED  {reason}", self.part),
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
    vec![
        Finding { part: "log", outcome: log(&place, &log_dir).map_err(|error| error.to_string()) },
        Finding { part: "checkpoint", outcome: checkpoint(&place) },
        Finding { part: "state", outcome: state(&place, &log_dir) },
    ]
}

fn log(place: &Place, log_dir: &Path) -> Result<String, LogError> {
    let options = Options { identity: place.identity, segment_bytes: SEGMENT_BYTES };
    let (mut log, recovered) = Log::open(Arc::clone(&place.files), log_dir, options)?;
    let (first, last) = (log.first_index(), log.last_index());
    let mut next = first;
    while next <= last {
        let entries = log.entries(next, last.next(), READ_BYTES)?;
        next = entries.last().map_or(last, |entry| entry.index).next();
    }
    let torn = recovered.cut.map_or_else(String::new, |cut| {
        format!("; a write that was never acknowledged is torn at offset {} of {}", cut.offset, cut.file.display())
    });
    Ok(format!("entries {first} to {last}{torn}"))
}

fn checkpoint(place: &Place) -> Result<String, String> {
    let loaded = checkpoint::load(&*place.files, &place.dir, place.identity, &MemoryEngine::default());
    match loaded.map_err(|error| error.to_string())? {
        Some(checkpoint) => Ok(format!("through entry {}, {} bytes", checkpoint.index, checkpoint.bytes)),
        None => Ok("none yet".to_owned()),
    }
}

fn state(place: &Place, log_dir: &Path) -> Result<String, String> {
    let open = || storage::open(config::Engine::Memory, place, &place.dir);
    // A log that exists knows its first members.
    let started =
        recovery::start(place, open, log_dir, SEGMENT_BYTES, &[], NO_ELECTION).map_err(|error| error.to_string())?;
    let reader = started.state.reader();
    let LogIndex(applied) = reader.applied().0;
    Ok(format!("revision {}, applied through entry {applied}", reader.revision().0))
}
