//! When leases end. Which leases there are is replicated; their deadlines exist only here, on the leader.
//!
//! ```text
//!   granted ──► Running{deadline} ──deadline passed──► Revoking ──applied──► gone
//!                  ▲      │                               │
//!                  └keepalive                             └─proposal lost: Running again, due at once
//! ```
//!
//! Invariants: a lease never ends early: a new leader, or one that was paused, gives every lease its whole time again
//! (or what a checkpoint left of it); a lease whose end is proposed is no longer renewed.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use internal_proto::{Fault, LeaseId};

/// Leases proposed for revocation at once; etcd's own limit per round.
const MAX_REVOKED_AT_ONCE: usize = 500;

/// Deadlines of all leases while this node leads.
#[derive(Debug, Default)]
pub(crate) struct Lessor {
    leases: HashMap<LeaseId, Deadline>,
    /// Running leases, the one that ends first foremost.
    order: BTreeSet<(Instant, LeaseId)>,
    /// Whether this node leads and may decide.
    active: bool,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    ttl: i64,
    ends: Instant,
    revoking: bool,
}

/// What became of a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease lives so many seconds more.
    Renewed(i64),
    /// There is no such lease.
    Unknown,
    /// Its end is proposed: the answer is what becomes of that.
    Revoking,
    /// This node does not lead.
    NotLeading,
}

impl Lessor {
    /// Begins to decide: every lease gets its time again, counted from now, and `grace` on top.
    pub(crate) fn promote(
        &mut self,
        leases: impl IntoIterator<Item = (LeaseId, i64, i64)>,
        now: Instant,
        grace: Duration,
    ) {
        self.demote();
        self.active = true;
        for (id, ttl, remaining) in leases {
            let left = if remaining > 0 { remaining } else { ttl };
            let left = if Fault::EarlyExpiry.is_planted() { 0 } else { left };
            self.insert(id, ttl, now + seconds(left) + grace);
        }
    }

    /// Stops deciding.
    pub(crate) fn demote(&mut self) {
        self.leases.clear();
        self.order.clear();
        self.active = false;
    }

    /// Whether this node decides.
    pub(crate) const fn is_active(&self) -> bool {
        self.active
    }

    /// A grant was applied.
    pub(crate) fn granted(&mut self, id: LeaseId, ttl: i64, now: Instant) {
        if self.active {
            self.insert(id, ttl, now + seconds(ttl));
        }
    }

    /// A revocation was applied.
    pub(crate) fn revoked(&mut self, id: LeaseId) {
        if let Some(deadline) = self.leases.remove(&id) {
            self.order.remove(&(deadline.ends, id));
        }
    }

    /// A client's revocation is proposed: from here on the lease is not renewed.
    pub(crate) fn revoking(&mut self, id: LeaseId) {
        if let Some(deadline) = self.leases.get_mut(&id) {
            self.order.remove(&(deadline.ends, id));
            deadline.revoking = true;
        }
    }

    /// A proposed revocation was lost: the lease runs again, and if its time is over it is due at once.
    pub(crate) fn revocation_lost(&mut self, id: LeaseId) {
        if let Some(deadline) = self.leases.get_mut(&id) {
            deadline.revoking = false;
            self.order.insert((deadline.ends, id));
        }
    }

    /// A client keeps its lease alive.
    pub(crate) fn renew(&mut self, id: LeaseId, now: Instant) -> Renewal {
        if !self.active {
            return Renewal::NotLeading;
        }
        let Some(deadline) = self.leases.get_mut(&id) else { return Renewal::Unknown };
        if deadline.revoking {
            return Renewal::Revoking;
        }
        self.order.remove(&(deadline.ends, id));
        deadline.ends = now + seconds(deadline.ttl);
        self.order.insert((deadline.ends, id));
        Renewal::Renewed(deadline.ttl)
    }

    /// Leases whose time is over, at most as many as may be revoked at once. They count as revoking from here on.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<LeaseId> {
        let mut expired = Vec::new();
        while expired.len() < MAX_REVOKED_AT_ONCE
            && let Some(&(ends, id)) = self.order.first()
            && ends <= now
        {
            self.order.pop_first();
            if let Some(deadline) = self.leases.get_mut(&id) {
                deadline.revoking = true;
            }
            expired.push(id);
        }
        expired
    }

    /// Seconds that a lease has still to live, and that it was granted. `None` where there is no such lease.
    pub(crate) fn time_to_live(&self, id: LeaseId, now: Instant) -> Option<(i64, i64)> {
        let deadline = self.leases.get(&id)?;
        let left = deadline.ends.saturating_duration_since(now).as_secs();
        Some((i64::try_from(left).unwrap_or(i64::MAX), deadline.ttl))
    }

    /// All leases and when each ends, in no order.
    pub(crate) fn ends(&self) -> Vec<(Instant, LeaseId)> {
        self.leases.iter().map(|(id, deadline)| (deadline.ends, *id)).collect()
    }

    fn insert(&mut self, id: LeaseId, ttl: i64, ends: Instant) {
        self.revoked(id);
        self.leases.insert(id, Deadline { ttl, ends, revoking: false });
        self.order.insert((ends, id));
    }
}

/// A lease's time; etcd bounds it to 9 000 000 000 seconds, which every clock here can add.
fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn leading(leases: &[(i64, i64)], start: Instant) -> Lessor {
        let mut lessor = Lessor::default();
        lessor.promote(leases.iter().map(|&(id, ttl)| (LeaseId(id), ttl, 0)), start, Duration::ZERO);
        lessor
    }

    #[test]
    fn a_lease_ends_when_its_time_is_over_and_not_before() {
        let start = Instant::now();
        let mut lessor = leading(&[(1, 5), (2, 3)], start);
        assert_eq!(lessor.expired(after(start, 2)), []);
        assert_eq!(lessor.expired(after(start, 5)), [LeaseId(2), LeaseId(1)]);
        assert_eq!(lessor.expired(after(start, 9)), [], "an end is proposed once");
    }

    #[test]
    fn a_keepalive_restarts_the_time() {
        let start = Instant::now();
        let mut lessor = leading(&[(1, 5)], start);
        assert_eq!(lessor.renew(LeaseId(1), after(start, 4)), Renewal::Renewed(5));
        assert_eq!(lessor.expired(after(start, 8)), []);
        assert_eq!(lessor.time_to_live(LeaseId(1), after(start, 8)), Some((1, 5)));
        assert_eq!(lessor.expired(after(start, 9)), [LeaseId(1)]);
    }

    #[test]
    fn a_lease_whose_end_is_proposed_is_not_renewed_unless_the_proposal_is_lost() {
        let start = Instant::now();
        let mut lessor = leading(&[(1, 5)], start);
        assert_eq!(lessor.expired(after(start, 5)), [LeaseId(1)]);
        assert_eq!(lessor.renew(LeaseId(1), after(start, 5)), Renewal::Revoking);
        lessor.revocation_lost(LeaseId(1));
        assert_eq!(lessor.renew(LeaseId(1), after(start, 6)), Renewal::Renewed(5));
        lessor.revoked(LeaseId(1));
        assert_eq!(lessor.renew(LeaseId(1), after(start, 6)), Renewal::Unknown);
    }

    #[test]
    fn a_new_leader_gives_every_lease_its_whole_time_or_what_a_checkpoint_left() {
        let start = Instant::now();
        let mut lessor = leading(&[(1, 5)], start);
        lessor.promote([(LeaseId(1), 5, 0), (LeaseId(2), 60, 2)], after(start, 100), GRACE);
        assert_eq!(lessor.expired(after(start, 102)), []);
        assert_eq!(lessor.expired(after(start, 103)), [LeaseId(2)]);
        assert_eq!(lessor.expired(after(start, 106)), [LeaseId(1)]);
    }

    #[test]
    fn only_a_leader_decides() {
        let start = Instant::now();
        let mut lessor = leading(&[(1, 5)], start);
        lessor.demote();
        lessor.granted(LeaseId(2), 1, start);
        assert_eq!(lessor.renew(LeaseId(1), start), Renewal::NotLeading);
        assert_eq!(lessor.expired(after(start, 100)), []);
    }

    #[test]
    fn leases_are_listed_with_their_ends() {
        let start = Instant::now();
        let mut ends = leading(&[(1, 9), (2, 3), (3, 5)], start).ends();
        ends.sort_unstable();
        assert_eq!(ends, [(2, 3), (3, 5), (1, 9)].map(|(id, ttl)| (after(start, ttl), LeaseId(id))));
    }

    #[test]
    fn no_more_leases_end_at_once_than_one_entry_should_hold() {
        let start = Instant::now();
        let many: Vec<_> = (1..=600).map(|id| (id, 2)).collect();
        let mut lessor = leading(&many, start);
        assert_eq!(lessor.expired(after(start, 2)).len(), MAX_REVOKED_AT_ONCE);
        assert_eq!(lessor.expired(after(start, 2)).len(), 100);
    }
}
