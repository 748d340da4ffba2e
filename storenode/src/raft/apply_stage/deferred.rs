//! The apply stage as a thread would run it, in a simulation: an entry is away for some passes, from a seed.
//!
//! ```text
//!  pass       0        1        2          3          4
//!  entry      begun    ·        applied    ·          back: its callers are answered
//!                      │                   └─ readers see it already; the raft thread does not know
//!                      └─ the power may go, leadership may change, a snapshot may come
//! ```
//!
//! Invariant: one entry at a time, as on a thread.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::work::{ApplyWork, Done, Task};
use crate::raft::log_stage::Delay;

/// Decides how long entries are away.
pub(super) struct Deferred {
    delay: Delay,
    random: SmallRng,
}

/// The work, away.
pub(super) struct Course(Option<Step>);

/// Passes until the entry is applied, then until that is known.
enum Step {
    Begun { work: Box<ApplyWork>, task: Task, passes: u32, report_after: u32 },
    Applied { work: Box<ApplyWork>, done: Done, passes: u32 },
}

impl Deferred {
    pub(super) fn new(delay: Delay) -> Self {
        Self { delay, random: SmallRng::seed_from_u64(delay.seed) }
    }

    /// For how many passes the next entry is away.
    pub(super) fn passes(&mut self) -> u32 {
        self.random.random_range(self.delay.least..=self.delay.most)
    }

    pub(super) fn course(&mut self, work: Box<ApplyWork>, task: Task, passes: u32) -> Course {
        let report_after = self.random.random_range(0..passes);
        Course(Some(Step::Begun { work, task, passes: passes - report_after - 1, report_after }))
    }
}

impl Course {
    /// One pass later: perhaps the entry is applied, perhaps it is back.
    pub(super) fn pass(&mut self) -> Option<(Box<ApplyWork>, Done)> {
        let step = match self.0.take()? {
            Step::Begun { mut work, task, passes: 0, report_after } => {
                let start = (work.clock)();
                let mut done = work.perform(task);
                done.away = (work.clock)() - start;
                Step::Applied { work, done, passes: report_after }
            }
            Step::Begun { work, task, passes, report_after } => {
                Step::Begun { work, task, passes: passes - 1, report_after }
            }
            Step::Applied { work, done, passes } => Step::Applied { work, done, passes: passes - 1 },
        };
        match step {
            Step::Applied { work, done, passes: 0 } => Some((work, done)),
            under_way => {
                self.0 = Some(under_way);
                None
            }
        }
    }

    /// It is back at the next pass.
    pub(super) fn hurry(&mut self) {
        match &mut self.0 {
            Some(Step::Begun { passes, report_after, .. }) => (*passes, *report_after) = (0, 0),
            Some(Step::Applied { passes, .. }) => *passes = 1,
            None => {}
        }
    }
}
