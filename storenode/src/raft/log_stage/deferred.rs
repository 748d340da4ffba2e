//! The log stage as a thread would run it, in a simulation: what it does comes some passes later, from a seed.
//!
//! ```text
//!  pass       0        1        2        3        4
//!  tasks      queued   ·        write    ·        Done        more tasks meanwhile: the next group
//!                      └─ the power may go: nothing is written, or nobody has heard that it was
//! ```
//!
//! Invariant: one group at a time, in order, as on a thread.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::work::{Done, LogWork, Task};
use crate::log::LogError;

/// How long a simulated log takes for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Decides each group's delay.
    pub seed: u64,
    /// The shortest delay, in passes of the driver.
    pub least: u32,
    /// The longest.
    pub most: u32,
}

/// The log, what waits for it, and the group under way.
pub(super) struct Deferred {
    work: LogWork,
    delay: Delay,
    random: SmallRng,
    waiting: Vec<Task>,
    group: Option<Group>,
}

/// Passes until a group is written, then until that is reported.
enum Group {
    Writing { tasks: Vec<Task>, passes: u32, report_after: u32 },
    Reporting { done: Done, passes: u32 },
}

impl Deferred {
    pub(super) fn new(work: LogWork, delay: Delay) -> Self {
        Self { work, delay, random: SmallRng::seed_from_u64(delay.seed), waiting: Vec::new(), group: None }
    }

    pub(super) fn hand_over(&mut self, tasks: Vec<Task>) {
        self.waiting.extend(tasks);
    }

    /// One pass later: perhaps the group under way is done by now.
    pub(super) fn pass(&mut self) -> Result<Option<Done>, LogError> {
        let group = match self.group.take() {
            Some(Group::Writing { tasks, passes: 0, report_after }) => {
                Group::Reporting { done: self.work.perform(tasks)?, passes: report_after }
            }
            Some(Group::Writing { tasks, passes, report_after }) => {
                Group::Writing { tasks, passes: passes - 1, report_after }
            }
            Some(Group::Reporting { done, passes }) => Group::Reporting { done, passes: passes - 1 },
            None if self.waiting.is_empty() => return Ok(None),
            None => {
                let passes = self.random.random_range(self.delay.least..=self.delay.most);
                let report_after = self.random.random_range(0..=passes);
                let tasks = std::mem::take(&mut self.waiting);
                Group::Writing { tasks, passes: passes - report_after, report_after }
            }
        };
        match group {
            Group::Reporting { done, passes: 0 } => Ok(Some(done)),
            under_way => {
                self.group = Some(under_way);
                Ok(None)
            }
        }
    }
}
