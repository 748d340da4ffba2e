//! The log stage: what the raft thread wants logged, written and synced inline or on a thread of its own.
//!
//! ```text
//!  raft thread                          │ inline: at once       thread: while the raft thread goes on
//!  append, fetch, trim, .. ─► finish ───┼─► LogWork::perform: one write, one fdatasync
//!              Input::Logged ◄─ settle ◄┼── Done, at once       ── Done, through the inbox
//! ```
//!
//! Inline costs no hand-off and is best while the disk is quick. On a thread a disk that hangs stops neither
//! heartbeats nor votes, reads and barriers. [`LogPlace::Auto`] decides: a thread from the start where there are cores
//! to spare, else as soon as something took so long that peers might miss heartbeats.
//!
//! Invariants: one owner at a time has the log; groups are performed in order, and everything queued while one ran is
//! the next; the stage reports and never sends; it is asked for room before anything is proposed or taken from a
//! leader, as what is in raft's hands can no longer be refused.

mod deferred;
mod space;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod thread;
mod work;

use std::sync::Arc;
use std::time::Duration;

use internal_proto::LogIndex;

use super::core::LogJob;
use super::inbox::Inbox;
use super::window::Fetch;
use crate::log::{LogError, Reserve, Spare, SpareJob};
use deferred::Deferred;
use space::Space;
use thread::LogThread;

pub use deferred::Delay;
pub(crate) use space::Room;
pub(crate) use thread::LogEvent;
pub(crate) use work::{Done, LogWork, unlogged};
use work::{Task, weight};

/// From so many cores on, a thread of its own costs the others nothing.
const CORES_FOR_A_THREAD: usize = 4;
/// Fetches under way: one each for more followers than there are. raft asks again for what is dropped.
const MAX_FETCHES: usize = 16;

/// Where the log stage runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogPlace {
    /// By cores and disk. In a simulation: inline.
    #[default]
    Auto,
    /// On the raft thread.
    Inline,
    /// On a thread of its own.
    Thread,
    /// On the raft thread, but some passes later: for simulation.
    Deferred(Delay),
}

/// The raft thread's end of the log.
pub(crate) struct LogStage {
    place: Place,
    inbox: Arc<Inbox>,
    /// Whether a slow disk moves the log to a thread.
    may_move: bool,
    /// Not handed over yet.
    tasks: Vec<Task>,
    /// Whether anybody waits for one of them.
    urgent: bool,
    space: Space,
    /// How to make a spare segment, if there is none.
    spare_job: Option<SpareJob>,
    /// Tasks handed over and not reported yet.
    outstanding: usize,
    /// Bytes appended and not reported yet.
    queued_bytes: usize,
    /// Bytes of messages let in since the last hand-over.
    admitted_bytes: usize,
    fetches: usize,
    /// Something was appended that is not written yet, as nobody waits for it.
    unflushed: bool,
    bytes_since_checkpoint: u64,
}

enum Place {
    Inline(Box<LogWork>),
    Thread(LogThread),
    Deferred(Box<Deferred>),
    /// It failed: the node stops.
    Lost,
}

impl LogStage {
    /// A stage that goes on with a recovered log; its thread reports to `inbox`.
    pub(crate) fn new(mut work: LogWork, place: LogPlace, inbox: Arc<Inbox>) -> Self {
        let (space, spare_job) = (work.space(), work.spare_job());
        let at_once = match place {
            LogPlace::Auto => std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= CORES_FOR_A_THREAD),
            LogPlace::Thread => true,
            LogPlace::Inline | LogPlace::Deferred(_) => false,
        };
        let may_move = place == LogPlace::Auto;
        let place = match place {
            LogPlace::Deferred(delay) => Place::Deferred(Box::new(Deferred::new(work, delay))),
            _ => Place::Inline(Box::new(work)),
        };
        let mut stage = Self {
            place,
            inbox,
            may_move,
            tasks: Vec::new(),
            urgent: false,
            space,
            spare_job,
            outstanding: 0,
            queued_bytes: 0,
            admitted_bytes: 0,
            fetches: 0,
            unflushed: false,
            bytes_since_checkpoint: 0,
        };
        if at_once {
            stage.move_to_thread();
        }
        stage
    }

    /// Appends one Ready's entries and hard state to the group.
    pub(crate) fn append(&mut self, job: LogJob) {
        let bytes: usize = job.entries.iter().map(|entry| entry.data.len()).sum();
        self.bytes_since_checkpoint += bytes as u64;
        self.queued_bytes += weight(&job);
        self.urgent |= job.awaited;
        self.unflushed |= !job.must_sync;
        self.tasks.push(Task::Append(job));
    }

    /// Reads older entries back for a slow follower.
    pub(crate) fn fetch(&mut self, fetch: Fetch) {
        if self.fetches < MAX_FETCHES {
            self.fetches += 1;
            self.ask(Task::Fetch(fetch));
        }
    }

    /// Writes what nobody waits for.
    pub(crate) fn flush(&mut self) {
        if std::mem::take(&mut self.unflushed) {
            self.ask(Task::Flush);
        }
    }

    /// Gives up entries through this index.
    pub(crate) fn trim(&mut self, through: LogIndex) {
        self.ask(Task::Trim(through));
    }

    /// Passes a spare segment on, or that there is no space for one.
    pub(crate) fn take_spare(&mut self, outcome: Result<Spare, LogError>) {
        self.ask(Task::TakeSpare(outcome));
    }

    fn ask(&mut self, task: Task) {
        self.urgent = true;
        self.tasks.push(task);
    }

    /// Whether somebody waits for what [`Self::finish`] would do.
    pub(crate) const fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// Whether the log is at work, or would be if it were handed what is urgent.
    pub(crate) const fn is_busy(&self) -> bool {
        self.urgent || self.outstanding > 0
    }

    /// Has performed what was asked for: at once, or by whoever has the log. What nobody waits for does not wake a
    /// thread: it goes along with the next that does, or with the next flush.
    ///
    /// # Errors
    /// Any is final.
    pub(crate) fn finish(&mut self) -> Result<Option<Done>, LogError> {
        self.admitted_bytes = 0;
        let due = self.urgent || matches!(self.place, Place::Inline(_));
        if self.tasks.is_empty() || !due {
            return Ok(None);
        }
        self.urgent = false;
        let tasks = std::mem::take(&mut self.tasks);
        match &mut self.place {
            Place::Inline(work) => {
                self.outstanding += tasks.len();
                let outcome = work.perform(tasks);
                return self.keep_unless_failed(outcome.map(Some));
            }
            Place::Thread(thread) => self.outstanding += thread.hand_over(tasks),
            Place::Deferred(deferred) => {
                self.outstanding += tasks.len();
                deferred.hand_over(tasks);
            }
            Place::Lost => return Err(LogError::Failed),
        }
        Ok(None)
    }

    /// A pass begins. In a simulation: what is done by now.
    ///
    /// # Errors
    /// Any is final.
    pub(crate) fn pass(&mut self) -> Result<Option<Done>, LogError> {
        match &mut self.place {
            Place::Deferred(deferred) => {
                let outcome = deferred.pass();
                self.keep_unless_failed(outcome)
            }
            Place::Inline(_) | Place::Thread(_) => Ok(None),
            Place::Lost => Err(LogError::Failed),
        }
    }

    fn keep_unless_failed(&mut self, outcome: Result<Option<Done>, LogError>) -> Result<Option<Done>, LogError> {
        if outcome.is_err() {
            self.place = Place::Lost;
        }
        outcome
    }

    /// Takes note of what was done.
    pub(crate) fn settle(&mut self, done: &mut Done) {
        self.outstanding -= done.tasks;
        self.queued_bytes -= done.bytes;
        self.fetches -= done.fetched.len();
        self.spare_job = done.spare_job.take();
        let before = std::mem::replace(&mut self.space, done.space).reserve;
        match (before, done.space.reserve) {
            (Reserve::Available, Reserve::NoDisk) => {
                tracing::warn!("no space on the disk for a further log segment: writes are refused until there is");
            }
            (Reserve::NoDisk, Reserve::Available) => {
                tracing::info!("the disk has space again: writes are accepted");
            }
            _ => {}
        }
    }

    /// Whether so many bytes of a proposal can be logged. A proposal that needs a further segment has one made first if
    /// there is none. While the log is at work nothing is proposed, so that what comes together is one entry and the
    /// figures are exact.
    ///
    /// # Errors
    /// When a segment cannot be made for another reason than a full disk.
    pub(crate) fn room(&mut self, bytes: usize, frees_space: bool) -> Result<Room, LogError> {
        if self.is_busy() || (self.space.lacks_spare_for(bytes) && !self.make_spare()?) {
            return Ok(Room::Later);
        }
        let room = self.space.takes_proposal(bytes, frees_space);
        Ok(if room { Room::Yes } else { Room::No })
    }

    /// Whether a leader's entries of so many bytes can be logged. Those that cannot are dropped before raft sees them:
    /// the leader sends them again, and its heartbeats are answered meanwhile.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub(crate) fn admits(&mut self, bytes: usize) -> Result<bool, LogError> {
        let waiting = self.queued_bytes + self.admitted_bytes;
        let makes_spare = waiting == 0 && !self.is_busy() && self.space.lacks_spare_for(bytes);
        if makes_spare && !self.make_spare()? {
            return Ok(false);
        }
        let admitted = self.space.takes_entries(bytes, waiting);
        if admitted {
            self.admitted_bytes += bytes;
        }
        Ok(admitted)
    }

    /// Has a spare made. Whether that is done, or was tried in vain.
    fn make_spare(&mut self) -> Result<bool, LogError> {
        self.ask(Task::MakeSpare);
        let mut done = self.finish()?;
        done.iter_mut().for_each(|done| self.settle(done));
        Ok(done.is_some())
    }

    /// How to make a spare segment, if there is none; its outcome goes to [`Self::take_spare`].
    pub(crate) fn spare_job(&mut self) -> Option<SpareJob> {
        self.spare_job.take()
    }

    /// Whether there is no space for a further segment.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.space.reserve == Reserve::NoDisk
    }

    /// Whether the log, where it is now, would better be on a thread: something took longer than `bearable`.
    pub(crate) fn should_move(&self, done: &Done, bearable: Duration) -> bool {
        self.may_move && done.took > bearable && matches!(self.place, Place::Inline(_))
    }

    /// Goes on on a thread of its own, if there is room for one.
    pub(crate) fn move_to_thread(&mut self) {
        let place = match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Inline(work) => {
                let mut work = Some(*work);
                match (LogThread::spawn(&mut work, Arc::clone(&self.inbox)), work) {
                    (Ok(thread), _) => Place::Thread(thread),
                    (Err(error), Some(work)) => {
                        tracing::warn!(%error, "no thread for the log: a slow disk holds everything up");
                        Place::Inline(Box::new(work))
                    }
                    (Err(_), None) => Place::Lost,
                }
            }
            other => other,
        };
        self.place = place;
    }

    /// Waits for the thread, if there is one, and goes on inline. What it reported is in the inbox.
    pub(crate) fn come_home(&mut self) {
        let place = match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Thread(thread) => thread.join().map_or(Place::Lost, |work| Place::Inline(Box::new(work))),
            other => other,
        };
        self.place = place;
        self.urgent = !self.tasks.is_empty();
    }

    /// Bytes of entries logged since the last checkpoint began.
    pub(crate) const fn bytes_since_checkpoint(&self) -> u64 {
        self.bytes_since_checkpoint
    }

    /// A checkpoint that began at this count is durable.
    pub(crate) fn checkpointed(&mut self, bytes: u64) {
        self.bytes_since_checkpoint -= bytes;
    }
}
