//! The apply stage: one entry at a time becomes state and events, on the raft thread or, if that takes long, away.
//!
//! ```text
//!  raft thread                            │ home: most entries      away: an entry that touches very many keys
//!  begin ─► few keys? ──yes───────────────┼─► ApplyWork::perform
//!                     └─no─► hand over ───┼───────────────────────► thread "apply": ApplyWork::perform
//!                Input::Applied ◄─ finish ┼── Done, at once         ── Returned, through the inbox
//! ```
//!
//! Home costs no hand-off. Away, an entry that deletes a million keys keeps nobody from ticks, heartbeats, votes and
//! the log: none of them needs what moves. What the raft thread still has to know of the state it reads as anyone does.
//!
//! Invariants: one owner at a time has the state, and it comes back with the entry applied; nothing else is applied
//! meanwhile; what follows from an entry (its callers, the applied index, who is told to compact) is done at home.

mod deferred;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod thread;
mod weight;
mod work;

use std::any::Any;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::inbox::Inbox;
use super::log_stage::Delay;
use crate::state::{Input, Replaced, State};
use deferred::{Course, Deferred};

pub(crate) use work::{ApplyWork, Done, Task};

/// Where the apply stage runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplyPlace {
    /// By what an entry touches. In a simulation: inline.
    #[default]
    Auto,
    /// On the raft thread.
    Inline,
    /// On the raft thread, but any entry some passes later: for simulation.
    Deferred(Delay),
}

/// What comes back: the work and what it has done, or a panic.
pub(crate) struct Returned(Result<(Box<ApplyWork>, Done), Box<dyn Any + Send>>);

/// The raft thread's end of the state.
pub(crate) struct ApplyStage {
    whereabouts: Whereabouts,
    policy: Policy,
    inbox: Arc<Inbox>,
}

enum Whereabouts {
    Home(Box<ApplyWork>),
    /// It reports to the inbox.
    Thread(JoinHandle<()>),
    Deferred(Course),
    /// It panicked: the node stops.
    Lost,
}

enum Policy {
    Weigh,
    Stay,
    Defer(Deferred),
}

impl ApplyStage {
    /// A stage at home; its thread reports to `inbox`.
    pub(crate) fn new(work: ApplyWork, place: ApplyPlace, inbox: Arc<Inbox>) -> Self {
        let policy = match place {
            ApplyPlace::Auto => Policy::Weigh,
            ApplyPlace::Inline => Policy::Stay,
            ApplyPlace::Deferred(delay) => Policy::Defer(Deferred::new(delay)),
        };
        Self { whereabouts: Whereabouts::Home(Box::new(work)), policy, inbox }
    }

    /// Whether an entry is being applied elsewhere: nothing can be begun until it has come back.
    pub(crate) const fn is_away(&self) -> bool {
        !matches!(self.whereabouts, Whereabouts::Home(_))
    }

    /// Applies the next entry, or has it applied: then nothing is returned.
    ///
    /// # Panics
    /// While another one is away.
    pub(crate) fn begin(&mut self, task: Task) -> Option<Done> {
        let Whereabouts::Home(work) = &mut self.whereabouts else {
            panic!("nothing is begun while the stage is away");
        };
        let passes = match &mut self.policy {
            Policy::Weigh if weight::is_large(work.reader(), &task.input) => return self.send_away(task),
            Policy::Defer(deferred) if matches!(task.input, Input::Commands(_)) => deferred.passes(),
            Policy::Weigh | Policy::Stay | Policy::Defer(_) => 0,
        };
        if passes == 0 {
            return Some(work.perform(task));
        }
        if let Whereabouts::Home(work) = std::mem::replace(&mut self.whereabouts, Whereabouts::Lost)
            && let Policy::Defer(deferred) = &mut self.policy
        {
            self.whereabouts = Whereabouts::Deferred(deferred.course(work, task, passes));
        }
        None
    }

    /// Hands the work to a thread; if there is no room for one, the entry is applied here.
    fn send_away(&mut self, task: Task) -> Option<Done> {
        let Whereabouts::Home(work) = std::mem::replace(&mut self.whereabouts, Whereabouts::Lost) else { return None };
        match thread::spawn(work, task, Arc::clone(&self.inbox)) {
            Ok(thread) => {
                self.whereabouts = Whereabouts::Thread(thread);
                None
            }
            Err((error, mut work, task)) => {
                tracing::warn!(%error, "no thread for a large entry: it holds everything up");
                let done = work.perform(task);
                self.whereabouts = Whereabouts::Home(work);
                Some(done)
            }
        }
    }

    /// A pass begins. In a simulation: what has come back by now.
    pub(crate) fn pass(&mut self) -> Option<Done> {
        let Whereabouts::Deferred(course) = &mut self.whereabouts else { return None };
        let (work, done) = course.pass()?;
        self.whereabouts = Whereabouts::Home(work);
        Some(done)
    }

    /// The thread has reported. Its panic is the driver's: the node stops.
    pub(crate) fn welcome(&mut self, returned: Returned) -> Done {
        self.join();
        match returned.0 {
            Ok((work, done)) => {
                self.whereabouts = Whereabouts::Home(work);
                done
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Waits for the thread, if there is one: what it reported is in the inbox. From here on nothing goes away.
    pub(crate) fn come_home(&mut self) {
        self.policy = Policy::Stay;
        match &mut self.whereabouts {
            Whereabouts::Deferred(course) => course.hurry(),
            Whereabouts::Thread(_) => self.join(),
            Whereabouts::Home(_) | Whereabouts::Lost => {}
        }
    }

    fn join(&mut self) {
        if let Whereabouts::Thread(thread) = std::mem::replace(&mut self.whereabouts, Whereabouts::Lost) {
            thread.join().expect("the thread catches every panic and reports it");
        }
    }

    /// Goes on with the state of another member's snapshot.
    ///
    /// # Panics
    /// When the stage is away.
    pub(crate) fn install(&mut self, state: State) -> Replaced {
        match &mut self.whereabouts {
            Whereabouts::Home(work) => work.install(state),
            _ => panic!("states change places only at home"),
        }
    }
}
