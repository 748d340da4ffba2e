//! This gateway's session: numbers for its writes, so that one whose answer was lost can be sent again.
//!
//! ```text
//!  sequence   ... 7   8   9   10   11 ← next
//!                 │   └── open: its answer has not come and it may be sent again
//!                 └ floor: below every open one; the store forgets the answers up to here
//! ```
//!
//! Invariants: a number is one write's for ever; the floor never passes a write that may still be sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Error, Origin, SessionId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How far the newest number may be above the floor: half of what a node remembers, so that none is refused for it.
const MAX_OPEN: u64 = 32_768;
/// Between two tries to open a session.
const OPEN_RETRY: Duration = Duration::from_millis(20);

/// The numbers of one session.
#[derive(Debug)]
struct Numbering {
    session: SessionId,
    next: u64,
    open: BTreeSet<u64>,
}

impl Numbering {
    const fn new(session: SessionId) -> Self {
        Self { session, next: 1, open: BTreeSet::new() }
    }

    fn floor(&self) -> u64 {
        self.open.first().map_or(self.next, |first| *first) - 1
    }

    fn take(&mut self) -> Option<u64> {
        if self.next - self.floor() > MAX_OPEN {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        self.open.insert(sequence);
        Some(sequence)
    }
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Opening,
    Open(Numbering),
}

/// The session of a gateway, opened when it is first needed and again when the cluster has forgotten it.
#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
    changed: Notify,
}

/// A write's number. Dropping it says that the write is not sent again.
#[derive(Debug)]
pub(super) struct Ticket {
    session: Arc<Session>,
    id: SessionId,
    sequence: u64,
}

impl Session {
    /// A number for a new write. `open` asks the cluster for a session; it runs in a task of its own, so that a caller
    /// who gives up leaves nobody behind.
    pub(super) async fn ticket<F>(self: &Arc<Self>, open: impl Fn() -> F + Send + Sync + Clone + 'static) -> Ticket
    where
        F: Future<Output = Result<SessionId, Error>> + Send + 'static,
    {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the state is looked at: what changes after that is not missed.
            changed.as_mut().enable();
            {
                let mut state = self.state.lock();
                match &mut *state {
                    State::Open(numbering) => {
                        if let Some(sequence) = numbering.take() {
                            return Ticket { session: Arc::clone(self), id: numbering.session, sequence };
                        }
                    }
                    State::Closed => {
                        *state = State::Opening;
                        tokio::spawn(Arc::clone(self).open(open.clone()));
                    }
                    State::Opening => {}
                }
            }
            changed.await;
        }
    }

    async fn open<F>(self: Arc<Self>, open: impl Fn() -> F + Send)
    where
        F: Future<Output = Result<SessionId, Error>> + Send,
    {
        loop {
            match open().await {
                Ok(session) => {
                    *self.state.lock() = State::Open(Numbering::new(session));
                    return self.changed.notify_waiters();
                }
                Err(error) => tracing::debug!(%error, "no session yet"),
            }
            tokio::time::sleep(OPEN_RETRY).await;
        }
    }
}

impl Ticket {
    /// The number as it goes into the command, with the floor as it is now.
    pub(super) fn origin(&self) -> Origin {
        let state = self.session.state.lock();
        let floor = match &*state {
            State::Open(numbering) if numbering.session == self.id => numbering.floor(),
            // The session is forgotten: no floor matters any more.
            _ => 0,
        };
        Origin { session: self.id, sequence: self.sequence, floor }
    }

    /// The cluster does not know the session: the next write opens another.
    pub(super) fn forgotten(&self) {
        let mut state = self.session.state.lock();
        if matches!(&*state, State::Open(numbering) if numbering.session == self.id) {
            *state = State::Closed;
            drop(state);
            tracing::warn!(session = self.id.0, "the cluster has forgotten this gateway's session: opening another");
            self.session.changed.notify_waiters();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        let State::Open(numbering) = &mut *state else { return };
        if numbering.session == self.id {
            let was_full = numbering.next - numbering.floor() > MAX_OPEN;
            numbering.open.remove(&self.sequence);
            drop(state);
            if was_full {
                self.session.changed.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(id: u64) -> impl Fn() -> std::future::Ready<Result<SessionId, Error>> + Send + Sync + Clone {
        move || std::future::ready(Ok(SessionId(id)))
    }

    #[tokio::test]
    async fn the_floor_stays_below_every_write_that_may_be_sent_again() {
        let session = Arc::new(Session::default());
        let first = session.ticket(opening(7)).await;
        let second = session.ticket(opening(8)).await;
        drop(session.ticket(opening(8)).await);
        assert_eq!(first.origin(), Origin { session: SessionId(7), sequence: 1, floor: 0 });
        drop(first);
        assert_eq!(second.origin(), Origin { session: SessionId(7), sequence: 2, floor: 1 });
        drop(second);
        assert_eq!(session.ticket(opening(8)).await.origin().floor, 3);
    }

    #[tokio::test]
    async fn a_forgotten_session_is_replaced_by_another_with_numbers_of_its_own() {
        let session = Arc::new(Session::default());
        let old = session.ticket(opening(7)).await;
        old.forgotten();
        let new = session.ticket(opening(9)).await;
        assert_eq!(new.origin(), Origin { session: SessionId(9), sequence: 1, floor: 0 });
        old.forgotten();
        drop(old);
        assert_eq!(session.ticket(opening(10)).await.origin(), Origin { session: SessionId(9), sequence: 2, floor: 0 });
    }

    #[tokio::test]
    async fn writes_wait_while_too_many_are_open() {
        let session = Arc::new(Session::default());
        let first = session.ticket(opening(7)).await;
        for _ in 1..MAX_OPEN {
            drop(session.ticket(opening(7)).await);
        }
        let mut next = Box::pin(session.ticket(opening(7)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert_eq!(next.await.origin().floor, MAX_OPEN);
    }
}
