//! The only loop: waits for arrivals or the next tick, and has the member deal with them.

use std::sync::Arc;
use std::time::Instant;

use internal_proto::{Error, Write};

use super::fatal::Fatal;
use super::inbox::{Arrivals, Inbox, Writes};
use super::member::Member;

/// Drives a member: on a thread of its own by [`Driver::run`], or pass by pass under simulation.
pub(crate) struct Driver {
    member: Member,
    inbox: Arc<Inbox>,
    arrivals: Arrivals,
    last_tick: Instant,
}

impl Driver {
    /// Nothing has happened yet.
    pub(crate) fn new(member: Member, inbox: Arc<Inbox>) -> Self {
        let last_tick = (member.clock)();
        Self { member, inbox, arrivals: Arrivals::default(), last_tick }
    }

    /// Runs until asked to stop, or until something fails that leaves the member unable to keep its promises.
    pub(crate) fn run(mut self) -> Result<(), Fatal> {
        let result = self.work();
        self.end(&result);
        result
    }

    /// Deals with what has arrived and with the time that has passed. Whether the member was asked to stop.
    pub(crate) fn pass(&mut self) -> Result<bool, Fatal> {
        self.member.begin_pass()?;
        self.inbox.take(&mut self.arrivals, self.member.wants_writes());
        self.last_tick = self.member.tick(self.last_tick)?;
        self.member.handle(&mut self.arrivals)?;
        Ok(self.arrivals.stop)
    }

    /// What a new member does first.
    pub(crate) fn begin(&mut self) -> Result<(), Fatal> {
        self.member.begin()
    }

    /// Whether nothing is left to do until something arrives.
    pub(crate) fn is_settled(&self) -> bool {
        self.member.is_settled()
    }

    fn work(&mut self) -> Result<(), Fatal> {
        self.begin()?;
        loop {
            if !self.member.has_backlog() {
                self.inbox.wait(self.last_tick + self.member.pace.tick, self.member.wants_writes());
            }
            if self.pass()? {
                return self.finish();
            }
        }
    }

    /// Answers what is queued: the stages are inline from here on, so that every pass completes what it begins.
    fn finish(&mut self) -> Result<(), Fatal> {
        self.member.come_home();
        loop {
            let takes_all = self.member.wants_writes() == Writes::Take;
            self.pass()?;
            if takes_all && !self.member.has_backlog() {
                return Ok(());
            }
        }
    }

    /// Tells all who wait that nothing more will come. After a failure nobody can say what became of the last writes.
    fn end(&mut self, result: &Result<(), Fatal>) {
        self.member.end(if result.is_ok() { Error::Stopped } else { Error::TimeoutConnectionLost });
        self.inbox.stop();
        self.inbox.take(&mut self.arrivals, Writes::Take);
        for Write { respond, .. } in self.arrivals.writes.drain(..) {
            respond.send(Err(Error::Stopped));
        }
        for barrier in self.arrivals.barriers.drain(..) {
            let _ = barrier.send(Err(Error::Stopped));
        }
    }
}
