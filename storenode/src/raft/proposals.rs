//! Entries proposed here and not yet applied, each with the callers who wait for it.
//!
//! Invariant: callers are answered by the entry applied at the index *and* term of their proposal, never by another
//! leader's entry that took its place.

use std::collections::VecDeque;

use internal_proto::{Error, LogIndex, Responder, Revision, Term};

/// A caller who waits for one command of an entry.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// The way back.
    pub(crate) respond: Responder,
    /// For a physical compaction: the answer waits until history is gone up to here.
    pub(crate) physical: Option<Revision>,
}

/// Who waits for which entry, in log order.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    waiting: VecDeque<Proposal>,
}

#[derive(Debug)]
struct Proposal {
    index: LogIndex,
    term: Term,
    /// One per command of the entry; `None` for a command that this node proposed for itself.
    waiters: Vec<Option<Waiter>>,
}

impl Proposals {
    /// Remembers who waits for an entry that was just proposed.
    pub(crate) fn insert(&mut self, index: LogIndex, term: Term, waiters: Vec<Option<Waiter>>) {
        while self.waiting.back().is_some_and(|last| last.index >= index) {
            // A new leadership of this node overwrote its own earlier, uncommitted entries.
            let lost = self.waiting.pop_back().expect("the back was just seen");
            fail(lost, Error::TimeoutLeaderFail);
        }
        self.waiting.push_back(Proposal { index, term, waiters });
    }

    /// Who waits for the entry that is being applied. Proposals that it proves lost are failed.
    pub(crate) fn take(&mut self, index: LogIndex, term: Term) -> Option<Vec<Option<Waiter>>> {
        while self.waiting.front().is_some_and(|first| first.index < index) {
            let lost = self.waiting.pop_front().expect("the front was just seen");
            fail(lost, Error::TimeoutLeaderFail);
        }
        if self.waiting.front()?.index != index {
            return None;
        }
        let proposal = self.waiting.pop_front()?;
        if proposal.term == term {
            return Some(proposal.waiters);
        }
        fail(proposal, Error::TimeoutLeaderFail);
        None
    }

    /// Tells all who wait that the outcome is unknown.
    pub(crate) fn fail_all(&mut self, error: Error) {
        for proposal in self.waiting.drain(..) {
            fail(proposal, error);
        }
    }

    /// Entries that are not applied yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

fn fail(proposal: Proposal, error: Error) {
    for waiter in proposal.waiters.into_iter().flatten() {
        waiter.respond.send(Err(error));
    }
}
