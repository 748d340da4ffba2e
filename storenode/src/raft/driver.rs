//! The only loop: waits for arrivals or the next tick, and has the member deal with them.

use std::sync::Arc;
use std::time::Instant;

use internal_proto::{Error, Write};

use super::fatal::Fatal;
use super::inbox::{Arrivals, Inbox};
use super::member::Member;

/// Drives a member on a thread of its own.
pub(crate) struct Driver {
    pub(crate) member: Member,
    pub(crate) inbox: Arc<Inbox>,
}

impl Driver {
    /// Runs until asked to stop, or until something fails that leaves the member unable to keep its promises.
    pub(crate) fn run(mut self) -> Result<(), Fatal> {
        let result = self.work();
        // After a failure nobody can say what became of the last writes.
        self.member.end(if result.is_ok() { Error::Stopped } else { Error::TimeoutConnectionLost });
        self.refuse_late_arrivals();
        result
    }

    fn work(&mut self) -> Result<(), Fatal> {
        let mut arrivals = Arrivals::default();
        let mut last_tick = Instant::now();
        self.member.begin()?;
        loop {
            self.inbox.take(last_tick + self.member.pace.tick, &mut arrivals);
            last_tick = self.member.tick(last_tick)?;
            self.member.handle(&mut arrivals)?;
            if arrivals.stop {
                return Ok(());
            }
        }
    }

    fn refuse_late_arrivals(&self) {
        let mut late = Arrivals::default();
        self.inbox.stop();
        self.inbox.take(Instant::now(), &mut late);
        for Write { respond, .. } in late.writes {
            respond.send(Err(Error::Stopped));
        }
        for barrier in late.barriers {
            let _ = barrier.send(Err(Error::Stopped));
        }
    }
}
