//! The gateway of this process: clients before it, storage nodes behind it.
//!
//! ```text
//!  sockets ─► listener ─► etcd ─► stack ─► router ─┬► nodes: the own one, through memory
//!                          └────► watch hub ───────┘         others across the network
//! ```

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gateway::middleware::telemetry::TelemetryLayer;
use gateway::protocols::etcd::{Caller, Etcd, Identity, WatchService};
use gateway::protocols::listener::Options;
use gateway::protocols::operations::Operations;
use gateway::router::{Introduction, Nodes, Router, follow_members, follow_seeds};
use gateway::{stack::stack, watch};
use internal_proto::Store;
use prometheus::Registry;
use storenode::Node;
use tokio::task::JoinHandle;

use crate::StartError;
use crate::config::Myself;
use crate::server::Server;

/// etcd's server timeout is this much, and two election timeouts on top.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

type Service = Etcd<gateway::stack::Stack<Router>, WatchService>;

/// A gateway that does not serve yet.
pub(crate) struct Front {
    etcd: Service,
    options: Options,
    following: JoinHandle<()>,
}

/// A gateway at work.
pub(crate) struct Serving {
    server: Server,
    /// Keeps its nodes as the cluster's members.
    following: JoinHandle<()>,
}

impl Front {
    /// The gateway of a member: its own node answers what it can.
    ///
    /// # Errors
    /// Metrics that are registered twice.
    pub(crate) fn of_member(
        who: &Myself,
        node: &Arc<Node>,
        settings: &Settings<'_>,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let introduction = Introduction::new(Some(who.cluster_id), &who.token).of_member(who.member_id);
        let nodes = Arc::new(Nodes::new(Some(Arc::clone(node) as Arc<dyn Store>), introduction));
        let identity = Identity::member(who.cluster_id, who.member_id);
        let following = follow_members(Arc::clone(&nodes), who.first_members.clone());
        Self::new(nodes, identity, tokio::spawn(following), settings, registry)
    }

    /// A gateway by itself, of the cluster that some storage nodes at these addresses belong to.
    ///
    /// # Errors
    /// Metrics that are registered twice.
    pub(crate) fn apart(
        storenodes: Vec<String>,
        token: &str,
        settings: &Settings<'_>,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let introduction = Introduction::new(None, token);
        let nodes = Arc::new(Nodes::new(None, introduction.clone()));
        let cluster = Arc::new(OnceLock::new());
        let following = follow_seeds(Arc::clone(&nodes), storenodes, introduction, Arc::clone(&cluster));
        Self::new(nodes, Identity::executing(cluster), tokio::spawn(following), settings, registry)
    }

    fn new(
        nodes: Arc<Nodes>,
        identity: Identity,
        following: JoinHandle<()>,
        settings: &Settings<'_>,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let Settings { gateway, election_timeout } = *settings;
        let server_timeout = REQUEST_TIMEOUT + 2 * election_timeout;
        let router = Router::new(Arc::clone(&nodes), server_timeout);
        let floor = Arc::clone(router.floor());
        let stack = stack(router, TelemetryLayer::new(registry, gateway.slow_request)?, server_timeout);
        let hub = Arc::new(watch::Hub::new(nodes, floor));
        watch::register(registry, &hub)?;
        let watch = WatchService::new(hub, identity.clone(), gateway);
        let etcd = Etcd::new(Caller::new(stack, identity, Arc::new(gateway.clone())), watch, registry)?;
        Ok(Self { etcd, options: Options::from(gateway), following })
    }

    /// What operators ask.
    pub(crate) const fn operations(&self) -> &Operations {
        self.etcd.operations()
    }

    /// Serves clients.
    ///
    /// # Errors
    /// When a bound socket cannot be used.
    pub(crate) fn serve(self, clients: Vec<TcpListener>) -> std::io::Result<Serving> {
        let server = Server::start(clients, self.etcd, self.options)?;
        Ok(Serving { server, following: self.following })
    }
}

/// What a gateway is told in any form.
pub(crate) struct Settings<'a> {
    pub(crate) gateway: &'a gateway::config::Config,
    /// Of the storage nodes.
    pub(crate) election_timeout: Duration,
}

impl Serving {
    /// Over when the listener ends by itself.
    pub(crate) async fn ended(&mut self) {
        self.server.ended().await;
    }

    /// Stops accepting and drains.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
        self.following.abort();
    }
}
