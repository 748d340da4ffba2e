//! Reads: what is committed is asked of the leader, the state of any node that has applied it.
//!
//! ```text
//!  barrier from the leader ─► own node, waits until it has applied that ─► answer
//!                                └── cannot in time, or is lost ─► the next node
//! ```

use std::future::Future;

use internal_proto::{Answer, Barrier, Error, Freshness, LogIndex, MemberId, Reply, Request};

use super::nodes::Node;
use super::topology::Pursuit;
use super::{LEADER_RETRY, Router};

impl Router {
    /// Answers with nothing older than what was acknowledged before the call.
    pub(super) async fn read_linearizable(&self, request: Request) -> Result<Answer, Error> {
        loop {
            let (barrier, _) = self.barrier().await?;
            match self.read(request.clone(), barrier.index).await {
                // No node that can be reached has applied what the leader has: it will, or others come back.
                Err(Error::TimeoutWaitApplied | Error::NoLeader) if self.nodes.view().sole().is_none() => {
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                answer => return answer,
            }
        }
    }

    /// Answers from what only the leader knows.
    pub(super) async fn ask_leader(&self, request: Request) -> Result<Answer, Error> {
        loop {
            let (barrier, leader) = self.barrier().await?;
            let freshness = Freshness { applied: barrier.index, revision: self.floor.get() };
            let answer = leader.store.query(request.clone(), freshness);
            match self.while_leading(leader.id, answer).await {
                // A leader whose disk is slow may apply later than it confirms; there is still time.
                Err(error) if is_lost(error) && self.nodes.view().sole().is_none() => {
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                Err(Error::NotLeader { .. } | Error::NoLeader) => tokio::time::sleep(LEADER_RETRY).await,
                answer => return answer,
            }
        }
    }

    /// Answers from a node that has applied so far: the own one, or whichever can.
    pub(super) async fn read(&self, request: Request, applied: LogIndex) -> Result<Answer, Error> {
        let freshness = Freshness { applied, revision: self.floor.get() };
        let view = self.nodes.view();
        if let Some(sole) = view.sole() {
            return sole.store.query(request, freshness).await;
        }
        let mut tried: Vec<MemberId> = Vec::new();
        let mut reason = Error::NoLeader;
        while let Some(node) = self.reader(&request, &tried) {
            match node.store.query(request.clone(), freshness).await {
                Err(error) if is_lost(error) => {
                    tried.push(node.id);
                    reason = if error == Error::TimeoutWaitApplied { error } else { reason };
                    self.nodes.prefer_another();
                }
                answer => return answer,
            }
        }
        Err(reason)
    }

    /// Where to read; a gateway of its own shows the leader's status.
    fn reader(&self, request: &Request, tried: &[MemberId]) -> Option<Node> {
        let view = self.nodes.view();
        if *request == Request::Status && !view.has_own() {
            let leader = view.topology.leader().filter(|leader| !tried.contains(leader));
            if let Some(leader) = leader.and_then(|leader| view.node(leader)) {
                return Some(leader);
            }
        }
        self.nodes.reader(&view, tried)
    }

    /// What is committed now, and who said so.
    async fn barrier(&self) -> Result<(Barrier, Node), Error> {
        let mut pursuit = Pursuit::default();
        loop {
            let leader = self.leader(&mut pursuit).await;
            match self.while_leading(leader.id, leader.store.barrier()).await {
                Ok(barrier) => return Ok((barrier, leader)),
                Err(Error::NotLeader { hint }) => self.refused(&mut pursuit, leader.id, hint).await,
                Err(Error::NoLeader | Error::LeaderChanged) => tokio::time::sleep(LEADER_RETRY).await,
                Err(Error::Stopped | Error::TimeoutConnectionLost) if self.nodes.view().sole().is_none() => {
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whom to ask as the leader; waits until there is one.
    pub(super) async fn leader(&self, pursuit: &mut Pursuit) -> Node {
        let view = self.nodes.view();
        if let Some(node) = pursuit.target(&view.topology).and_then(|leader| view.node(leader)) {
            return node;
        }
        drop(view);
        let mut views = self.nodes.views();
        loop {
            let view = std::sync::Arc::clone(&views.borrow_and_update());
            if let Some(node) = view.topology.leader().and_then(|leader| view.node(leader)) {
                return node;
            }
            if views.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A node said that it does not lead: returns when it is time to ask on.
    pub(super) async fn refused(&self, pursuit: &mut Pursuit, by: MemberId, hint: Option<MemberId>) {
        if !pursuit.refused(by, hint, &self.nodes.view().topology) {
            tokio::time::sleep(LEADER_RETRY).await;
        }
    }

    /// Waits for an answer of the leader, but not once another one leads: it may stand still without being gone.
    pub(super) async fn while_leading<T: Unpin>(
        &self,
        leader: MemberId,
        answer: Reply<Result<T, Error>>,
    ) -> Result<T, Error> {
        let answer = match answer {
            Reply::Ready(answer) => return answer.unwrap_or(Err(Error::Stopped)),
            Reply::Later(answer) => answer,
        };
        if self.nodes.view().sole().is_some() {
            return answer.await;
        }
        self.until_succeeded(leader, answer).await
    }

    pub(super) async fn until_succeeded<T>(
        &self,
        leader: MemberId,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut views = self.nodes.views();
        let succeeded = views.wait_for(|view| view.topology.leader().is_some_and(|now| now != leader));
        tokio::select! {
            biased;
            answer = answer => answer,
            _ = succeeded => Err(Error::TimeoutConnectionLost),
        }
    }
}

/// Whether the node gave no answer, or not in time: another one may, or the same one later.
const fn is_lost(error: Error) -> bool {
    matches!(error, Error::NoLeader | Error::Stopped | Error::TimeoutConnectionLost | Error::TimeoutWaitApplied)
}
