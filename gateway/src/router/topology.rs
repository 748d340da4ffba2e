//! Who leads and who can be asked, from what every node says of itself. Pure.
//!
//! ```text
//!  standings ──► leader: whom the latest term names, if that node can be reached
//!            ──► reader: the own node, else the one that this gateway stays with, else any other
//!  NotLeader{hint} ──► followed once, then the next leader is waited for
//! ```

use std::collections::BTreeMap;

use internal_proto::{MemberId, Standing, Term};

/// What this gateway knows of the nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Topology {
    own: Option<MemberId>,
    standings: BTreeMap<MemberId, Standing>,
    /// Whom the latest term named that had a leader.
    latest: Option<(Term, MemberId)>,
}

impl Topology {
    pub(super) fn new(own: Option<MemberId>) -> Self {
        Self { own, ..Self::default() }
    }

    /// A node says something, or cannot be reached.
    pub(super) fn say(&mut self, node: MemberId, standing: Standing) {
        self.standings.insert(node, standing);
        self.latest = self.latest.max(standing.leader.map(|leader| (standing.term, leader)));
    }

    /// A node is no longer a member.
    pub(super) fn remove(&mut self, node: MemberId) {
        self.standings.remove(&node);
    }

    /// Whether a node shares this gateway's process.
    pub(super) const fn has_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether this is the node that shares this gateway's process.
    pub(super) fn is_own(&self, node: MemberId) -> bool {
        self.own == Some(node)
    }

    pub(super) fn is_reachable(&self, node: MemberId) -> bool {
        self.standings.get(&node).is_some_and(|standing| standing.reachable)
    }

    /// Who leads. A node without others is asked whatever it says: it answers for itself.
    pub(super) fn leader(&self) -> Option<MemberId> {
        if self.standings.len() == 1 {
            return self.standings.keys().next().copied();
        }
        let (term, leader) = self.latest?;
        let standing = self.standings.get(&leader).filter(|standing| standing.reachable)?;
        // It knows best, unless its own news is the older: one that stepped down leads no more, whoever thinks so.
        let leads = standing.term < term || (standing.term == term && standing.leader == Some(leader));
        leads.then_some(leader)
    }

    /// Whom to read at: the own node; without one, `preference` picks, so that a gateway stays with one node while
    /// gateways spread. Nodes that know a leader come first: the others may be cut off.
    pub(super) fn reader(&self, preference: usize, tried: &[MemberId]) -> Option<MemberId> {
        let untried = |node: &MemberId| !tried.contains(node) && self.is_reachable(*node);
        if let Some(own) = self.own.filter(untried) {
            return Some(own);
        }
        let reachable = |led: bool| {
            let nodes =
                self.standings.iter().filter(move |(node, standing)| untried(node) && standing.leader.is_some() == led);
            nodes.map(|(node, _)| *node).collect::<Vec<_>>()
        };
        let led = reachable(true);
        let nodes = if led.is_empty() { reachable(false) } else { led };
        (!nodes.is_empty()).then(|| nodes[preference % nodes.len()])
    }
}

/// The way of one call to the leader.
#[derive(Debug, Default)]
pub(super) struct Pursuit {
    hint: Option<MemberId>,
    followed: bool,
}

impl Pursuit {
    /// Whom to ask now; `None`: a leader must be waited for.
    pub(super) fn target(&mut self, topology: &Topology) -> Option<MemberId> {
        self.hint.take().or_else(|| topology.leader())
    }

    /// A node said that another one leads. Whether to ask on at once; otherwise a little later.
    pub(super) fn refused(&mut self, by: MemberId, hint: Option<MemberId>, topology: &Topology) -> bool {
        let hint = hint.filter(|hint| *hint != by && topology.is_reachable(*hint));
        self.followed = !self.followed && hint.is_some();
        self.hint = if self.followed { hint } else { None };
        self.followed
    }
}

#[cfg(test)]
#[path = "topology_script.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
