//! The Admin service: who this node is, how it is, and the order to make way.

use std::sync::Arc;

use internal_proto::admin::{AdminServer, AdminService, Greeting, NodeStatus, Nothing};
use internal_proto::{ClusterId, Member, Store};
use tonic::{Request, Response, Status};

use crate::Node;
use crate::config::Config;
use crate::raft::membership;

/// The service over one node.
pub struct Admin {
    node: Arc<Node>,
    cluster: ClusterId,
    name: String,
    engine: &'static str,
    founders: Vec<Member>,
}

/// The service as a server carries it.
pub fn service(node: Arc<Node>, config: &Config) -> AdminServer<Admin> {
    let (name, engine, founders) = (config.name.clone(), config.engine.name(), config.members.clone());
    AdminServer::new(Admin { node, cluster: config.cluster_id, name, engine, founders })
}

impl Admin {
    /// Founders that raft counts as members and that have not published themselves.
    fn expected(&self, published: &[Member]) -> Vec<Member> {
        let members = self.node.reader().conf_state().and_then(|record| membership::decode(&record).ok());
        let members = members.unwrap_or_default();
        let counts =
            |founder: &Member| members.voters.contains(&founder.id.0) || members.learners.contains(&founder.id.0);
        let is_published = |founder: &Member| published.iter().any(|member| member.id == founder.id);
        self.founders.iter().filter(|founder| counts(founder) && !is_published(founder)).cloned().collect()
    }

    fn status(&self) -> NodeStatus {
        let status = self.node.status();
        let standing = *self.node.standing().borrow();
        NodeStatus {
            cluster: self.cluster.0,
            member: self.node.member().0,
            name: self.name.clone(),
            leader: status.leader.map(|leader| leader.0),
            term: standing.term.0,
            committed: status.committed.0,
            applied: status.applied.0,
            revision: self.node.reader().revision().0,
            db_size: status.db_size,
            db_size_in_use: status.db_size_in_use,
            engine: self.engine.to_owned(),
            drained: self.node.is_drained(),
            errors: status.errors,
        }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn greet(&self, _: Request<Nothing>) -> Result<Response<Greeting>, Status> {
        let members = self.node.reader().members();
        let expected = self.expected(&members);
        Ok(Response::new(Greeting::new(self.cluster, self.node.member(), &members, &expected)))
    }

    async fn status(&self, _: Request<Nothing>) -> Result<Response<NodeStatus>, Status> {
        Ok(Response::new(self.status()))
    }

    async fn drain(&self, _: Request<Nothing>) -> Result<Response<NodeStatus>, Status> {
        self.node.drain().await;
        Ok(Response::new(self.status()))
    }
}
