//! When the leader's process has ended: an election at once instead of after the timeout.
//!
//! ```text
//!  leader's connections lost, its port refuses ─► gone ─┬─► pre-votes are granted from now on
//!                                                       └─► rank × 20 ms ─► campaign, with pre-vote
//! ```
//!
//! Invariants:
//! - one voter alone deposes nobody. A quorum must each have lost the leader before a pre-vote succeeds, so a bad link
//!   between two members changes nothing;
//! - a voter that has much to apply, as after a restart, leaves the office to others as long as there are any: whoever
//!   leads answers no write and no read before it has applied what is committed.

use std::time::{Duration, Instant};

use internal_proto::MemberId;

use super::core::{Input, Role};
use super::fatal::Fatal;
use super::member::Member;

/// Between the campaigns of two voters: long enough for a pre-vote and a vote, each with a sync, so that they rarely
/// stand against each other.
const STEP: Duration = Duration::from_millis(20);
/// An election under way is given this long before this voter stands as well.
const PATIENCE: Duration = Duration::from_millis(100);
/// How much later a voter stands that has much to apply: longer than all others need, one after another.
const BEHIND: Duration = Duration::from_millis(200);

/// Who led last, and when to stand for its place.
#[derive(Debug, Default)]
pub(crate) struct Failover {
    leader: Option<MemberId>,
    campaign_at: Option<Instant>,
    not_before: Option<Instant>,
}

impl Failover {
    /// A leader is known and there is nothing to stand for; or somebody stands, perhaps this voter itself.
    pub(crate) fn role_changed(&mut self, role: Role, now: Instant) {
        if role.leader.is_some() {
            *self = Self { leader: role.leader, ..Self::default() };
        } else {
            self.not_before = Some(now + PATIENCE);
        }
    }

    /// A peer's process has ended. Whether it led; this voter waits so long before it stands.
    fn gone(&mut self, peer: MemberId, wait: Duration, now: Instant) -> bool {
        let led = self.leader == Some(peer);
        if led {
            self.campaign_at.get_or_insert(now + wait);
        }
        led
    }

    /// Whether it is time to campaign; says so once.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.campaign_at.is_some_and(|at| at <= now) && self.not_before.is_none_or(|at| at <= now);
        if due {
            self.campaign_at = None;
        }
        due
    }
}

impl Member {
    /// A peer's process has ended.
    pub(super) fn peer_gone(&mut self, peer: MemberId) -> Result<(), Fatal> {
        let now = (self.clock)();
        let Some(rank) = self.core.rank_without(peer) else { return Ok(()) };
        let wait = STEP * rank + if self.is_behind(now) { BEHIND } else { Duration::ZERO };
        if !self.role.leads && self.failover.gone(peer, wait, now) {
            tracing::debug!(leader = %peer, ?wait, "the leader's process has ended");
            self.step(Input::LeaderGone)?;
            self.stand_if_due(now)?;
        }
        Ok(())
    }

    /// Campaigns when this voter's turn has come.
    pub(super) fn stand_if_due(&mut self, now: Instant) -> Result<(), Fatal> {
        if self.failover.is_due(now) { self.step(Input::Campaign) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use internal_proto::Term;

    use super::*;

    const LEADER: MemberId = MemberId(1);

    fn role(leader: Option<MemberId>) -> Role {
        Role { term: Term(2), leader, leads: false }
    }

    fn following(leader: MemberId, now: Instant) -> Failover {
        let mut failover = Failover::default();
        failover.role_changed(role(Some(leader)), now);
        failover
    }

    #[test]
    fn only_the_leaders_end_calls_for_an_election() {
        let now = Instant::now();
        assert!(!Failover::default().gone(LEADER, Duration::ZERO, now));
        let mut failover = following(LEADER, now);
        assert!(!failover.gone(MemberId(2), Duration::ZERO, now));
        assert!(!failover.is_due(now));
        assert!(failover.gone(LEADER, Duration::ZERO, now));
        assert!(failover.is_due(now) && !failover.is_due(now));
    }

    #[test]
    fn voters_stand_in_turn() {
        let now = Instant::now();
        let mut failover = following(LEADER, now);
        failover.gone(LEADER, STEP * 2, now);
        // A second report does not postpone the turn.
        failover.gone(LEADER, STEP * 2, now + STEP);
        assert!(!failover.is_due(now + STEP) && failover.is_due(now + STEP * 2));
    }

    #[test]
    fn an_election_under_way_is_given_time_and_then_repeated() {
        let now = Instant::now();
        let mut failover = following(LEADER, now);
        failover.gone(LEADER, Duration::ZERO, now);
        failover.role_changed(role(None), now);
        assert!(!failover.is_due(now + STEP) && failover.is_due(now + PATIENCE));
        assert!(failover.gone(LEADER, Duration::ZERO, now + PATIENCE) && failover.is_due(now + PATIENCE));
    }

    #[test]
    fn a_new_leader_ends_the_matter() {
        let now = Instant::now();
        let mut failover = following(LEADER, now);
        failover.gone(LEADER, STEP, now);
        failover.role_changed(role(Some(MemberId(2))), now);
        assert!(!failover.is_due(now + STEP * 2));
        assert!(!failover.gone(LEADER, Duration::ZERO, now));
    }
}
