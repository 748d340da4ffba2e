//! Work that takes long and holds nobody up: spare log segments, checkpoints, compaction. One thread each while there
//! is something to do; the driver hears of the result through its inbox.
//!
//! ```text
//!  driver ──keep_spare──► thread "log-spare"    ──Spare──────────► inbox
//!         ──checkpoint──► thread "checkpoint"   ──Checkpointed───► inbox ─► log.trim         (or a flush)
//!         ──compact─────► thread "compaction"   ──Compacted──────► inbox ─► physical compactions answered
//!         ──snapshots───► threads "snapshot-out", "snapshot-in" ──► inbox ─► raft/snapshot
//! ```
//!
//! Invariants: at most one of each kind runs at a time; none runs after `join`. Under simulation everything runs
//! inline, so that one seed gives one run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use internal_proto::LogIndex;

use crate::files::Files;
use crate::log::Identity;
use crate::node::stop_all;
use crate::raft::inbox::{Inbox, StageEvent};
use crate::raft::log_stage::LogStage;
use crate::raft::shared::Shared;
use crate::state::{Reader, Replaced};
use crate::storage::{Durability, Durable, SaveError};

/// The log may grow by so much, or by the size of the last checkpoint if that is more, before the next one: a restart
/// replays at most that.
pub(crate) const LOG_BYTES_BETWEEN_CHECKPOINTS: u64 = 256 << 20;
/// Less for an engine that flushes by itself, as all it has to write is what is new.
pub(crate) const LOG_BYTES_BETWEEN_FLUSHES: u64 = 128 << 20;
/// Versions that one step of compaction looks at: below a millisecond under the engine's lock.
const COMPACTION_STEP: usize = 100;
/// Between two steps, so that readers and writers find the lock free.
const COMPACTION_PAUSE: Duration = Duration::from_micros(250);
/// A full disk, or a compaction that left off, is looked at again every so many ticks of housekeeping.
const TICKS_BETWEEN_RETRIES: u32 = 20;

/// A checkpoint that found no space is tried again after so many ticks: it writes the whole store.
const TICKS_BETWEEN_CHECKPOINT_RETRIES: u32 = 1_000;
/// Of a thread that leaves the processor to requests: a tenth of the share of others, and never nothing. Only Linux
/// has it for each thread.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Where a node keeps its files, and whose they are.
#[derive(Clone)]
pub(crate) struct Place {
    /// The file layer.
    pub(crate) files: Arc<dyn Files>,
    /// The directory of checkpoints.
    pub(crate) dir: PathBuf,
    /// Whose data it is.
    pub(crate) identity: Identity,
}

/// Where background work runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On a thread of its own.
    Own,
    /// At once, on the caller's thread: for simulation.
    Inline,
}

/// How background work goes about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    /// Where it runs.
    pub(crate) threads: Threads,
    /// The least growth of the log between two checkpoints.
    pub(crate) bytes_between_checkpoints: u64,
}

/// Work under way; without a handle it ran inline and has only to be reported.
struct Job(Option<JoinHandle<()>>);

/// The background work of one node.
pub(crate) struct Background {
    place: Place,
    durability: Durability,
    inbox: Arc<Inbox>,
    reader: Reader,
    log_bytes_between: u64,
    pacing: Pacing,
    spare: Option<Job>,
    checkpoint: Option<Job>,
    compaction: Option<Job>,
    snapshot_out: Option<Job>,
    snapshot_in: Option<Job>,
    /// Stores that others have replaced.
    closing: Vec<Job>,
    /// The compacted revision moved while the worker ran.
    compact_again: bool,
    /// Tells the compaction thread to leave off; what it has not done, the next start does.
    stop: Arc<AtomicBool>,
    ticks_to_retry: u32,
    ticks_to_compact: u32,
    ticks_to_checkpoint: u32,
    /// What the checkpoint being written makes superfluous.
    covered_log_bytes: u64,
    has_room: bool,
}

impl Background {
    /// Nothing runs yet. `last` is what was durable when the node started.
    pub(crate) fn new(
        place: Place,
        durability: Durability,
        inbox: Arc<Inbox>,
        reader: Reader,
        last: Option<Durable>,
        pacing: Pacing,
    ) -> Self {
        let log_bytes_between = pacing.bytes_until_next(last.as_ref());
        Self {
            pacing,
            place,
            durability,
            inbox,
            reader,
            log_bytes_between,
            spare: None,
            checkpoint: None,
            compaction: None,
            snapshot_out: None,
            snapshot_in: None,
            closing: Vec::new(),
            compact_again: false,
            stop: Arc::default(),
            ticks_to_retry: 0,
            ticks_to_compact: 0,
            ticks_to_checkpoint: 0,
            covered_log_bytes: 0,
            has_room: true,
        }
    }

    /// Makes sure that the log has a spare segment or gets one, also after the disk was full, and looks whether the
    /// engine has space left.
    pub(crate) fn keep_spare(&mut self, log: &mut LogStage) {
        let had_room = std::mem::replace(&mut self.has_room, self.durability.has_room());
        if had_room && !self.has_room {
            tracing::warn!("the disk is nearly full: writes are refused until there is space");
        } else if !had_room && self.has_room {
            tracing::info!("the disk has space again: writes are accepted");
        }
        if self.spare.is_some() {
            return;
        }
        if log.is_disk_full() {
            self.ticks_to_retry = self.ticks_to_retry.saturating_sub(1);
            if self.ticks_to_retry > 0 {
                return;
            }
            self.ticks_to_retry = TICKS_BETWEEN_RETRIES;
        }
        if let Some(job) = log.spare_job() {
            let inbox = Arc::clone(&self.inbox);
            self.spare = Some(self.pacing.threads.run("log-spare", move || inbox.report(StageEvent::Spare(job.run()))));
        }
    }

    /// The spare's thread has reported.
    pub(crate) fn spare_made(&mut self) {
        finish(&mut self.spare);
    }

    /// Whether it is time for a checkpoint: the log has grown enough, or the disk is full and a checkpoint would let
    /// part of the log go.
    pub(crate) fn wants_checkpoint(&mut self, log_bytes: u64, disk_full: bool) -> bool {
        self.ticks_to_checkpoint = self.ticks_to_checkpoint.saturating_sub(1);
        let helps = log_bytes >= self.log_bytes_between || (disk_full && log_bytes > 0);
        self.checkpoint.is_none() && self.ticks_to_checkpoint == 0 && helps
    }

    /// Makes the state durable as it is now, `log_bytes` after the last time.
    pub(crate) fn checkpoint(&mut self, reader: &Reader, log_bytes: u64) {
        self.covered_log_bytes = log_bytes;
        let inbox = Arc::clone(&self.inbox);
        let save = self.durability.save(&self.place, reader);
        let work = move || inbox.report(StageEvent::Checkpointed(save()));
        self.checkpoint = Some(self.pacing.threads.run("checkpoint", work));
    }

    /// What of the log can go after a checkpoint, and how many of its bytes. A full disk only postpones it.
    pub(crate) fn checkpointed(
        &mut self,
        outcome: Result<Durable, SaveError>,
    ) -> Result<Option<(LogIndex, u64)>, SaveError> {
        finish(&mut self.checkpoint);
        match outcome {
            Ok(done) => {
                self.log_bytes_between = self.pacing.bytes_until_next(Some(&done));
                tracing::info!(index = done.index.0, bytes = done.bytes, "the store is durable without the log below");
                Ok(Some((done.index, self.covered_log_bytes)))
            }
            Err(error) if error.is_no_disk() => {
                self.ticks_to_checkpoint = TICKS_BETWEEN_CHECKPOINT_RETRIES;
                tracing::warn!(%error, "the store cannot be made durable: the log goes on growing");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the engine can take in more data, as of the last housekeeping.
    pub(crate) const fn has_room(&self) -> bool {
        self.has_room
    }

    /// Drops superfluous history; while that is being done, does it once more afterwards.
    pub(crate) fn compact(&mut self) {
        if self.compaction.is_some() {
            self.compact_again = true;
            return;
        }
        let (reader, inbox, stop) = (self.reader.clone(), Arc::clone(&self.inbox), Arc::clone(&self.stop));
        let work = move || {
            while !stop.load(Ordering::Relaxed) && reader.compact_step(COMPACTION_STEP) {
                std::thread::sleep(COMPACTION_PAUSE);
            }
            inbox.report(StageEvent::Compacted);
        };
        self.compaction = Some(self.pacing.threads.run("compaction", work));
    }

    /// Takes up a compaction that a start found unfinished, or that left off because somebody was reading.
    pub(crate) fn keep_compacting(&mut self) {
        self.ticks_to_compact = self.ticks_to_compact.saturating_sub(1);
        // While the worker runs, asking how far it is waits for its step.
        let due = self.ticks_to_compact == 0 && self.compaction.is_none();
        if due && self.reader.compaction_done_through() < self.reader.compacted() {
            self.ticks_to_compact = TICKS_BETWEEN_RETRIES;
            self.compact();
        }
    }

    /// The compaction worker has reported.
    pub(crate) fn compacted(&mut self) {
        finish(&mut self.compaction);
        if std::mem::take(&mut self.compact_again) {
            self.compact();
        }
    }

    /// Reads for a follower's snapshot, one part at a time; the work's outcome is reported.
    pub(crate) fn read_snapshot(&mut self, work: impl FnOnce() -> StageEvent + Send + 'static) {
        finish(&mut self.snapshot_out);
        let inbox = Arc::clone(&self.inbox);
        self.snapshot_out = Some(self.pacing.threads.run("snapshot-out", move || inbox.report(work())));
    }

    /// Writes or loads this member's own snapshot, one part at a time; the work's outcome is reported.
    pub(crate) fn take_snapshot(&mut self, work: impl FnOnce() -> StageEvent + Send + 'static) {
        finish(&mut self.snapshot_in);
        let inbox = Arc::clone(&self.inbox);
        let work = move || inbox.report(work());
        self.snapshot_in = Some(self.pacing.threads.run_behind_requests("snapshot-in", work));
    }

    /// The store is another one from now on. `state` is what the old one held in memory.
    pub(crate) fn replace(&mut self, durability: Durability, state: Replaced, shared: &Arc<Shared>) {
        durability.on_failure(stop_all(shared, &self.inbox));
        let replaced = std::mem::replace(&mut self.durability, durability);
        replaced.retire();
        self.close((replaced, state));
    }

    /// Lets go of a store. Freeing its memory, closing it and removing its files may take long; nothing waits for it.
    pub(crate) fn close(&mut self, store: impl Send + 'static) {
        self.closing.retain(|job| job.0.as_ref().is_some_and(|thread| !thread.is_finished()));
        self.closing.push(self.pacing.threads.run("close", move || drop(store)));
    }

    /// Waits for what runs.
    pub(crate) fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        finish(&mut self.spare);
        finish(&mut self.checkpoint);
        finish(&mut self.compaction);
        finish(&mut self.snapshot_out);
        finish(&mut self.snapshot_in);
        for job in self.closing.drain(..) {
            finish(&mut Some(job));
        }
    }
}

impl Pacing {
    fn bytes_until_next(self, last: Option<&Durable>) -> u64 {
        last.map_or(0, |durable| durable.bytes).max(self.bytes_between_checkpoints)
    }
}

impl Threads {
    /// Work that holds no lock which requests wait for may take the processor after them.
    fn run_behind_requests(self, name: &str, work: impl FnOnce() + Send + 'static) -> Job {
        self.run(name, move || {
            #[cfg(target_os = "linux")]
            if self == Self::Own {
                // Where that is not permitted it takes its part like others.
                let _ = rustix::process::setpriority_process(None, NICE);
            }
            work();
        })
    }

    fn run(self, name: &str, work: impl FnOnce() + Send + 'static) -> Job {
        match self {
            Self::Own => {
                let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
                Job(Some(thread.expect("the system has room for one more thread")))
            }
            Self::Inline => {
                work();
                Job(None)
            }
        }
    }
}

/// Waits for work that has reported or is told to leave off. Its panic is the driver's: the node stops.
fn finish(job: &mut Option<Job>) {
    if let Some(Job(Some(thread))) = job.take()
        && let Err(panic) = thread.join()
    {
        std::panic::resume_unwind(panic);
    }
}
