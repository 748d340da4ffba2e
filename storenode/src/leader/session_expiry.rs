//! When sessions end: a gateway that is gone never closes its own. Last uses are known only here, on the leader.
//!
//! ```text
//!   opened ──► used ──numbered write applied──► used ──idle for long──► CloseSession proposed ──► gone
//!                                                                            └─lost: idle from anew
//! ```
//!
//! Invariants: a new leader, or one that was paused, gives every session its whole time again. A gateway whose session
//! has ended learns so from its next write, which was not applied, and opens another.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use internal_proto::{Operation, SessionId};

use crate::state::Input;

/// A gateway retries no write for nearly as long.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// Between two looks: idle sessions cost nothing but memory.
const INTERVAL: Duration = Duration::from_secs(1);
/// Sessions closed at once: a session remembers up to thousands of answers, which one entry should not all remove.
const MAX_CLOSED_AT_ONCE: usize = 4;

/// Last uses of all sessions while this node leads.
#[derive(Debug, Default)]
pub(crate) struct SessionExpiry {
    used: HashMap<SessionId, Instant>,
    /// When to look again; `None` while this node does not decide.
    look_at: Option<Instant>,
}

impl SessionExpiry {
    /// Begins to decide: every session counts as used now.
    pub(crate) fn promote(&mut self, sessions: impl IntoIterator<Item = SessionId>, now: Instant) {
        self.used = sessions.into_iter().map(|id| (id, now)).collect();
        self.look_at = Some(now + INTERVAL);
    }

    /// Stops deciding.
    pub(crate) fn demote(&mut self) {
        self.used.clear();
        self.look_at = None;
    }

    /// Whether this node decides.
    pub(crate) const fn is_active(&self) -> bool {
        self.look_at.is_some()
    }

    /// A session was opened or used.
    pub(crate) fn used(&mut self, id: SessionId, now: Instant) {
        if self.is_active() {
            self.used.insert(id, now);
        }
    }

    /// Notes which sessions an entry uses, and which it ends.
    pub(crate) fn note(&mut self, input: &Input, now: Instant) {
        let Input::Commands(entry) = input else { return };
        if !self.is_active() {
            return;
        }
        let mut last = None;
        for command in &entry.commands {
            if let Operation::CloseSession(id) = command.operation {
                self.used.remove(&id);
            }
            let Some(session) = command.origin.map(|origin| origin.session) else { continue };
            // Most commands of an entry are one gateway's.
            if last.replace(session) != Some(session)
                && let Some(used) = self.used.get_mut(&session)
            {
                *used = now;
            }
        }
    }

    /// Sessions that were idle for too long, at most as many as may be closed at once. Should their end not be
    /// applied, they count as used now.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<SessionId> {
        if self.look_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.look_at = Some(now + INTERVAL);
        let idle = self.used.iter_mut().filter(|(_, used)| now.saturating_duration_since(**used) >= IDLE);
        let mut expired = Vec::new();
        for (id, used) in idle.take(MAX_CLOSED_AT_ONCE) {
            *used = now;
            expired.push(*id);
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use internal_proto::{AuthRevision, Command, Entry, Origin};

    fn entry(session: u64, operation: Operation) -> Input {
        let origin = Some(Origin { session: SessionId(session), sequence: 1, floor: 0 });
        Input::Commands(Entry { commands: vec![Command { origin, auth: AuthRevision::default(), operation }] })
    }

    fn leading(sessions: u64, start: Instant) -> SessionExpiry {
        let mut expiry = SessionExpiry::default();
        expiry.promote((1..=sessions).map(SessionId), start);
        expiry
    }

    #[test]
    fn a_session_that_is_used_stays_and_an_idle_one_ends_once() {
        let start = Instant::now();
        let mut expiry = leading(2, start);
        expiry.note(&entry(1, Operation::OpenSession), start + IDLE / 2);
        assert_eq!(expiry.expired(start + IDLE - INTERVAL), []);
        assert_eq!(expiry.expired(start + IDLE), [SessionId(2)]);
        assert_eq!(expiry.expired(start + IDLE + INTERVAL), [], "its end is proposed once");
        assert_eq!(expiry.expired(start + IDLE + IDLE / 2), [SessionId(1)]);
    }

    #[test]
    fn an_end_that_was_lost_is_proposed_again() {
        let start = Instant::now();
        let mut expiry = leading(1, start);
        assert_eq!(expiry.expired(start + IDLE), [SessionId(1)]);
        assert_eq!(expiry.expired(start + 2 * IDLE), [SessionId(1)]);
        expiry.note(&entry(9, Operation::CloseSession(SessionId(1))), start + 2 * IDLE);
        assert_eq!(expiry.expired(start + 3 * IDLE), []);
    }

    #[test]
    fn only_a_leader_decides_and_a_new_one_gives_all_their_time_again() {
        let start = Instant::now();
        let mut expiry = leading(1, start);
        expiry.demote();
        expiry.used(SessionId(2), start);
        assert_eq!(expiry.expired(start + IDLE), []);
        expiry.promote([SessionId(1)], start + IDLE);
        assert_eq!(expiry.expired(start + IDLE + IDLE / 2), []);
        assert_eq!(expiry.expired(start + 2 * IDLE), [SessionId(1)]);
    }

    #[test]
    fn few_sessions_end_at_once() {
        let start = Instant::now();
        let mut expiry = leading(6, start);
        assert_eq!(expiry.expired(start + IDLE).len(), MAX_CLOSED_AT_ONCE);
        assert_eq!(expiry.expired(start + IDLE + INTERVAL).len(), 2);
    }
}
