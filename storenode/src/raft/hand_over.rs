//! A leader that is about to stop gives its office to another voter, so that nobody waits for an election.
//!
//! ```text
//!  asked ─► hold what comes ─► all proposed is applied ─► MsgTimeoutNow ─┬─► another leads: the held are sent there
//!                                                                        └─► nobody in time: they are proposed here
//! ```
//!
//! Invariants: what is held was never proposed, so whoever asked may ask the new leader; held is bounded.

use std::time::Instant;

use internal_proto::{Error, Write};
use tokio::sync::oneshot;

use super::barriers::{BarrierResponder, MAX_WAITING};
use super::core::Input;
use super::fatal::Fatal;
use super::inbox::Arrivals;
use super::member::{Member, not_leader};

/// Writes that may be held: a hand-over takes milliseconds.
const MAX_HELD_WRITES: usize = 100_000;

/// A hand-over under way, if there is one.
#[derive(Debug, Default)]
pub(crate) struct HandOver(Option<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    /// Who asked for it.
    asked: Vec<oneshot::Sender<()>>,
    /// When it has failed.
    until: Instant,
    /// Whether the successor was told.
    begun: bool,
    writes: Vec<Write>,
    barriers: Vec<BarrierResponder>,
}

impl HandOver {
    /// Keeps back what arrives during a hand-over.
    pub(crate) fn hold(&mut self, arrivals: &mut Arrivals) {
        let Some(held) = &mut self.0 else { return };
        let room = MAX_HELD_WRITES.saturating_sub(held.writes.len()).min(arrivals.writes.len());
        held.writes.extend(arrivals.writes.drain(..room));
        for write in arrivals.writes.drain(..) {
            write.respond.send(Err(Error::TooManyRequests));
        }
        let room = MAX_WAITING.saturating_sub(held.barriers.len()).min(arrivals.barriers.len());
        held.barriers.extend(arrivals.barriers.drain(..room));
        for barrier in arrivals.barriers.drain(..) {
            let _ = barrier.send(Err(Error::TooManyRequests));
        }
    }

    /// Ends it: what was held is refused with this error.
    pub(crate) fn fail(&mut self, error: Error) {
        let Some(held) = self.0.take() else { return };
        for write in held.writes {
            write.respond.send(Err(error));
        }
        for barrier in held.barriers {
            let _ = barrier.send(Err(error));
        }
    }
}

impl Member {
    /// Begins a hand-over. `done` hears when it is over, one way or the other.
    pub(super) fn hand_over(&mut self, done: oneshot::Sender<()>) {
        if let Some(under_way) = &mut self.hand_over.0 {
            under_way.asked.push(done);
            return;
        }
        if self.role.leads && !self.core.is_sole_voter() {
            // Raft gives up after one election timeout and takes proposals again.
            let until = (self.clock)() + self.pace.election + 2 * self.pace.tick;
            let (writes, barriers) = (Vec::new(), Vec::new());
            self.hand_over.0 = Some(UnderWay { asked: vec![done], until, begun: false, writes, barriers });
        }
    }

    /// Moves a hand-over on.
    pub(super) fn move_hand_over(&mut self, now: Instant) -> Result<(), Fatal> {
        let Some(under_way) = &mut self.hand_over.0 else { return Ok(()) };
        if !self.role.leads {
            if self.role.leader.is_some() || now >= under_way.until {
                self.hand_over.fail(not_leader(self.role));
            }
            return Ok(());
        }
        if now >= under_way.until {
            return self.take_back();
        }
        if !under_way.begun
            && self.applier.pending() == 0
            && self.barriers.is_idle()
            && let Some(successor) = self.core.successor()
        {
            under_way.begun = true;
            tracing::info!(%successor, "handing leadership over");
            self.step(Input::HandOver(successor))?;
        }
        Ok(())
    }

    /// Nobody took over: this member goes on to lead.
    fn take_back(&mut self) -> Result<(), Fatal> {
        let Some(held) = self.hand_over.0.take() else { return Ok(()) };
        tracing::warn!("nobody took leadership over in time");
        held.barriers.into_iter().for_each(|barrier| self.barriers.wait(barrier));
        self.propose(held.writes.into_iter().map(|write| (write.command, Some(write.respond))).collect())
    }
}
