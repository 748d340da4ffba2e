//! The Admin service: who this node is, how it is, and the order to make way.

use std::sync::Arc;

use internal_proto::admin::{AdminServer, AdminService, Greeting, NodeStatus, Nothing};
use internal_proto::{ClusterId, Store};
use tonic::{Request, Response, Status};

use crate::Node;
use crate::config::Config;

/// The service over one node.
pub struct Admin {
    node: Arc<Node>,
    cluster: ClusterId,
    name: String,
    engine: &'static str,
}

/// The service as a server carries it.
pub fn service(node: Arc<Node>, config: &Config) -> AdminServer<Admin> {
    let (name, engine) = (config.name.clone(), config.engine.name());
    AdminServer::new(Admin { node, cluster: config.cluster_id, name, engine })
}

impl Admin {
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
        Ok(Response::new(Greeting::new(self.cluster, self.node.member(), &members)))
    }

    async fn status(&self, _: Request<Nothing>) -> Result<Response<NodeStatus>, Status> {
        Ok(Response::new(self.status()))
    }

    async fn drain(&self, _: Request<Nothing>) -> Result<Response<NodeStatus>, Status> {
        self.node.drain().await;
        Ok(Response::new(self.status()))
    }
}
