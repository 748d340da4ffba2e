//! Spare segments: allocated and zeroed ahead of time, or recycled, so that beginning a segment is a rename.
//!
//! ```text
//!   SpareJob: N.zeroing ── rename ─► N.spare ── begin ─► 0000000000000007.segment
//!                                       ▲                            │
//!                                       └────────── trim ────────────┘  not zeroed again: its old records
//!                                                                       are invalid under another number
//! ```
//!
//! Invariant: a file named `.spare` is complete and durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::segment::number_in;
use crate::files::{Attempt, Files, is_disk_full};

/// Recycled segments kept for reuse: what the log takes up between two checkpoints, 256 MiB by default.
const MAX_SPARES: usize = 4;

const SPARE_SUFFIX: &str = ".spare";
const ZEROING_SUFFIX: &str = ".zeroing";

/// Whether the log can grow beyond the segment it is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// There is a spare segment, or no attempt to allocate one has failed yet.
    Available,
    /// The disk is full: what is left of the current segment is all there is.
    NoDisk,
}

/// Allocates and zeroes one spare segment; may run on any thread, and takes as long as the disk needs to
/// write a segment.
pub struct SpareJob {
    files: Arc<dyn Files>,
    dir: PathBuf,
    number: u64,
    bytes: u32,
}

/// A spare segment, complete and durable.
#[derive(Debug)]
pub struct Spare(u64);

impl SpareJob {
    /// Makes the spare, for [`super::Log::offer_spare`].
    ///
    /// # Errors
    /// [`LogError::NoDisk`] if there is no space; whatever was allocated is given back.
    pub fn run(self) -> Result<Spare, LogError> {
        let temporary = path(&self.dir, self.number, ZEROING_SUFFIX);
        let spare = path(&self.dir, self.number, SPARE_SUFFIX);
        let made = self.files.create(&temporary).and_then(|file| file.allocate(u64::from(self.bytes)));
        match made {
            Err(error) if is_disk_full(&error) => {
                // If no file could be created there is none to remove.
                let _absent = self.files.remove(&temporary);
                return Err(LogError::NoDisk { dir: self.dir, bytes: self.bytes });
            }
            outcome => outcome.attempt("allocate a segment", &temporary)?,
        }
        self.files.rename(&temporary, &spare).attempt("rename", &temporary)?;
        self.files.sync_dir(&self.dir).attempt("sync the directory", &self.dir)?;
        Ok(Spare(self.number))
    }
}

/// The spares of one log.
pub(super) struct Spares {
    files: Arc<dyn Files>,
    dir: PathBuf,
    bytes: u32,
    ready: Vec<u64>,
    next_number: u64,
    pub(super) reserve: Reserve,
}

impl Spares {
    pub(super) fn open(files: &Arc<dyn Files>, dir: &Path, bytes: u32) -> Self {
        let (files, dir, reserve) = (files.clone(), dir.to_owned(), Reserve::Available);
        Self { files, dir, bytes, ready: Vec::new(), next_number: 1, reserve }
    }

    /// Takes over the usable spares among `names` and removes the rest. A new log, which counts its
    /// segments from 1 again, must not `reuse` any: old records could become valid once more.
    pub(super) fn clean(&mut self, names: &[String], reuse: bool) -> Result<(), LogError> {
        for name in names {
            let path = self.dir.join(name);
            if let Some(number) = number_in(name, SPARE_SUFFIX) {
                self.next_number = self.next_number.max(number + 1);
                if reuse {
                    self.adopt(number, &path)?;
                    continue;
                }
            } else if number_in(name, ZEROING_SUFFIX).is_none() {
                continue;
            }
            self.files.remove(&path).attempt("remove", &path)?;
        }
        Ok(())
    }

    fn adopt(&mut self, number: u64, path: &Path) -> Result<(), LogError> {
        let size = self.files.open(path).and_then(|file| file.size()).attempt("open", path)?;
        if size == u64::from(self.bytes) && self.ready.len() < MAX_SPARES {
            self.ready.push(number);
            return Ok(());
        }
        Ok(self.files.remove(path).attempt("remove", path)?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub(super) fn job(&mut self) -> SpareJob {
        let number = self.next_number;
        self.next_number += 1;
        SpareJob { files: self.files.clone(), dir: self.dir.clone(), number, bytes: self.bytes }
    }

    /// Takes what a job made, or learns that the disk is full.
    pub(super) fn offer(&mut self, outcome: Result<Spare, LogError>) -> Result<(), LogError> {
        match outcome {
            Ok(Spare(number)) => {
                self.ready.push(number);
                self.reserve = Reserve::Available;
                Ok(())
            }
            Err(LogError::NoDisk { .. }) => {
                if self.ready.is_empty() {
                    self.reserve = Reserve::NoDisk;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that `count` spares are ready, allocating here and now what no job has delivered.
    pub(super) fn ensure(&mut self, count: usize) -> Result<(), LogError> {
        while self.ready.len() < count {
            match self.job().run() {
                Err(error @ LogError::NoDisk { .. }) => {
                    self.reserve = Reserve::NoDisk;
                    return Err(error);
                }
                outcome => self.offer(outcome)?,
            }
        }
        Ok(())
    }

    /// The file of a spare, to be renamed.
    pub(super) fn take(&mut self) -> Option<PathBuf> {
        Some(path(&self.dir, self.ready.pop()?, SPARE_SUFFIX))
    }

    /// Turns a segment that is not needed any more into a spare, or removes it; durable on return.
    pub(super) fn recycle(&mut self, segment: &Path, bytes: u32) -> Result<(), LogError> {
        if self.ready.len() < MAX_SPARES && bytes == self.bytes {
            let number = self.next_number;
            self.next_number += 1;
            let spare = path(&self.dir, number, SPARE_SUFFIX);
            self.files.rename(segment, &spare).attempt("rename", segment)?;
            self.ready.push(number);
            self.reserve = Reserve::Available;
        } else {
            self.files.remove(segment).attempt("remove", segment)?;
        }
        Ok(self.files.sync_dir(&self.dir).attempt("sync the directory", &self.dir)?)
    }
}

fn path(dir: &Path, number: u64, suffix: &str) -> PathBuf {
    dir.join(format!("{number:016x}{suffix}"))
}
