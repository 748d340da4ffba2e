//! The log on a thread of its own: whatever is queued while it works is its next group.
//!
//! ```text
//!  raft thread ──hand over──► queue ──all of it──► thread "log": LogWork ──Done, Failed──► inbox ─► raft thread
//! ```
//!
//! Invariants: the thread owns the log while it runs and gives it back when it has done what was queued before the
//! end; it ends after a failure and reports how; it sends nothing to anybody else.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::work::{Done, LogWork, Task};
use crate::log::LogError;
use crate::raft::inbox::{Inbox, StageEvent};

/// What the thread reports.
pub(crate) enum LogEvent {
    /// Tasks were performed.
    Done(Done),
    /// What became of tasks is unknown: the node must stop.
    Failed(LogError),
    /// The thread panicked.
    Panicked(Box<dyn Any + Send>),
}

/// The raft thread's end.
pub(super) struct LogThread {
    queue: Entrance,
    thread: JoinHandle<Option<LogWork>>,
}

/// The way into the queue, which ends with it.
struct Entrance(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: Vec<Task>,
    closed: bool,
}

impl LogThread {
    /// Starts the thread and moves the log there; `work` keeps it if the system has no room for a thread.
    pub(super) fn spawn(work: &mut Option<LogWork>, inbox: Arc<Inbox>) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (given, taken) = std::sync::mpsc::sync_channel::<LogWork>(1);
        let tasks = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let work = taken.recv().ok()?;
            run(work, &tasks, &inbox)
        })?;
        if let Some(work) = work.take() {
            given.send(work).expect("the thread waits for the log");
        }
        Ok(Self { queue: Entrance(queue), thread })
    }

    /// Queues tasks; how many more there are to do.
    pub(super) fn hand_over(&self, tasks: Vec<Task>) -> usize {
        let mut waiting = self.queue.0.waiting.lock();
        let before = waiting.tasks.len();
        tasks.into_iter().for_each(|task| waiting.push(task));
        let more = waiting.tasks.len() - before;
        drop(waiting);
        self.queue.0.arrived.notify_one();
        more
    }

    /// Lets the thread do what is queued, and takes the log back; `None` after a failure.
    pub(super) fn join(self) -> Option<LogWork> {
        drop(self.queue);
        // A panic was reported as an event.
        self.thread.join().ok().flatten()
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.waiting.lock().closed = true;
        self.0.arrived.notify_one();
    }
}

impl Queue {
    /// Waits for tasks and takes all; `None` at the end.
    fn take(&self) -> Option<Vec<Task>> {
        let mut waiting = self.waiting.lock();
        while waiting.tasks.is_empty() {
            if waiting.closed {
                return None;
            }
            self.arrived.wait(&mut waiting);
        }
        Some(std::mem::take(&mut waiting.tasks))
    }
}

impl Waiting {
    /// Empty Readies must keep their order but need no room of their own: a disk that hangs must not let them pile up.
    fn push(&mut self, task: Task) {
        if let (Some(Task::Append(last)), Task::Append(job)) = (self.tasks.last_mut(), &task)
            && job.is_empty()
        {
            last.number = job.number;
            return;
        }
        self.tasks.push(task);
    }
}

fn run(mut work: LogWork, queue: &Queue, inbox: &Inbox) -> Option<LogWork> {
    while let Some(tasks) = queue.take() {
        let event = match catch_unwind(AssertUnwindSafe(|| work.perform(tasks))) {
            Ok(Ok(done)) => LogEvent::Done(done),
            Ok(Err(error)) => LogEvent::Failed(error),
            Err(panic) => LogEvent::Panicked(panic),
        };
        let failed = !matches!(event, LogEvent::Done(_));
        inbox.report(StageEvent::Log(event));
        if failed {
            return None;
        }
    }
    Some(work)
}
