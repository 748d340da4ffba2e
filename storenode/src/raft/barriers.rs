//! Barriers: what a linearizable read must see applied, confirmed by a quorum once for all who wait.
//!
//! ```text
//!  wait ─► waiting ──start──► in flight (one round) ──confirmed──► answered with the round's index
//!             ▲                    │
//!             └──── next round ◄───┘   starts at once, with all who came meanwhile
//! ```
//!
//! Invariants: a round is numbered by (term, sequence), which the leader makes and never uses twice; who came after a
//! round started waits for the next; a change of role or term fails them all.

use internal_proto::{Barrier, Error, LogIndex, Term};
use tokio::sync::oneshot;

use super::core::Round;

/// Barriers may wait, but not without bound: one per read of every client of every gateway.
pub(crate) const MAX_WAITING: usize = 100_000;

/// The way back of one barrier.
pub(crate) type BarrierResponder = oneshot::Sender<Result<Barrier, Error>>;

/// All barriers of a leader.
#[derive(Debug, Default)]
pub(crate) struct Barriers {
    waiting: Vec<BarrierResponder>,
    in_flight: Option<(Round, Vec<BarrierResponder>)>,
    sequence: u64,
}

impl Barriers {
    /// Adds a barrier to the next round.
    pub(crate) fn wait(&mut self, responder: BarrierResponder) {
        if self.waiting.len() >= MAX_WAITING {
            let _ = responder.send(Err(Error::TooManyRequests));
        } else {
            self.waiting.push(responder);
        }
    }

    /// Starts a round if there is something to confirm and none is in flight.
    pub(crate) fn start(&mut self, term: Term) -> Option<Round> {
        if self.waiting.is_empty() || self.in_flight.is_some() {
            return None;
        }
        self.sequence += 1;
        let round = Round { term, sequence: self.sequence };
        self.in_flight = Some((round, std::mem::take(&mut self.waiting)));
        Some(round)
    }

    /// Answers a confirmed round; any other round is over already.
    pub(crate) fn confirmed(&mut self, round: Round, index: LogIndex) {
        if self.in_flight.as_ref().is_some_and(|(in_flight, _)| *in_flight == round)
            && let Some((_, responders)) = self.in_flight.take()
        {
            for responder in responders {
                let _ = responder.send(Ok(Barrier { index, term: round.term }));
            }
        }
    }

    /// Whether nobody waits for a round that was started.
    pub(crate) const fn is_idle(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Fails all who wait.
    pub(crate) fn fail_all(&mut self, error: Error) {
        let in_flight = self.in_flight.take().map(|(_, responders)| responders).unwrap_or_default();
        for responder in self.waiting.drain(..).chain(in_flight) {
            let _ = responder.send(Err(error));
        }
    }
}
