//! Who leads next: what raft knows of it, and how it is told.

use internal_proto::MemberId;
use raft::StateRole;

use super::core::Core;

impl Core {
    /// This voter's place among those that remain without `peer`; `None` for who may not stand, or only without asking
    /// first whether it could win.
    pub(crate) fn rank_without(&self, peer: MemberId) -> Option<u32> {
        let raft = &self.node.raft;
        if !raft.pre_vote || !raft.promotable() {
            return None;
        }
        let before = self.voters().into_iter().filter(|&id| id < raft.id && id != peer.0).count();
        u32::try_from(before).ok()
    }

    /// The voter that could take over from this leader soonest.
    pub(crate) fn successor(&self) -> Option<MemberId> {
        let raft = &self.node.raft;
        let voters = self.voters();
        let others =
            raft.prs().iter().filter(|(id, progress)| **id != raft.id && voters.contains(id) && progress.recent_active);
        others.max_by_key(|(id, progress)| (progress.matched, std::cmp::Reverse(**id))).map(|(id, _)| MemberId(*id))
    }

    /// Pre-votes are granted from now on, and this voter does not stand by itself before its turn.
    pub(super) fn leader_gone(&mut self) {
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Follower && raft.election_elapsed < raft.election_timeout() {
            raft.election_elapsed = raft.election_timeout();
            self.stand_last();
        }
    }

    /// This voter does not stand by itself before others had the time to.
    pub(super) fn stand_last(&mut self) {
        let latest = self.latest_election;
        let raft = &mut self.node.raft;
        if raft.state != StateRole::Leader {
            raft.set_randomized_election_timeout(latest);
        }
    }

    fn voters(&self) -> Vec<u64> {
        let mut members = self.node.raft.prs().conf().to_conf_state();
        let mut voters = members.take_voters();
        voters.extend(members.take_voters_outgoing());
        voters.sort_unstable();
        voters.dedup();
        voters
    }
}
