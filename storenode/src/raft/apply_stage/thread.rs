//! One large entry on a thread of its own, which ends with it: such entries are rare.
//!
//! ```text
//!  raft thread ──ApplyWork, Task──► thread "apply" ──Returned: ApplyWork, Done or a panic──► inbox ─► raft thread
//! ```
//!
//! Invariant: the thread reports exactly once, and touches nothing afterwards.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::Returned;
use super::work::{ApplyWork, Task};
use crate::raft::inbox::{Inbox, StageEvent};

/// Why there is no thread, and what it would have taken along.
type Refused = (io::Error, Box<ApplyWork>, Task);

/// Applies an entry on a thread.
pub(super) fn spawn(work: Box<ApplyWork>, task: Task, inbox: Arc<Inbox>) -> Result<JoinHandle<()>, Refused> {
    let (given, taken) = std::sync::mpsc::sync_channel::<(Box<ApplyWork>, Task)>(1);
    let run = move || {
        let Ok((mut work, task)) = taken.recv() else { return };
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            let start = (work.clock)();
            let mut done = work.perform(task);
            done.away = (work.clock)() - start;
            (work, done)
        }));
        inbox.report(StageEvent::Applied(Returned(outcome)));
    };
    match std::thread::Builder::new().name("apply".to_owned()).spawn(run) {
        Ok(thread) => {
            given.send((work, task)).expect("the thread waits for its work");
            Ok(thread)
        }
        Err(error) => Err((error, work, task)),
    }
}
