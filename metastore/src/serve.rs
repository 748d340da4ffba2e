//! The wiring: a storage node, a gateway before it, and the sockets they serve.
//!
//! ```text
//!  sockets ─► listener ─► etcd ─► stack ─► router ─┐
//!                          └────► watch hub ───────┴─► node (same process, frames through memory)
//! ```

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::middleware::telemetry::TelemetryLayer;
use gateway::protocols::etcd::{Caller, Etcd, Identity, WatchService};
use gateway::protocols::listener::{self, Options};
use gateway::router::{Nodes, Router};
use gateway::{stack::stack, watch};
use internal_proto::{Entry, Member, Store};
use prometheus::Registry;
use storenode::{NoPeers, Node, Surroundings, Tuning};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::StartError;

/// etcd's server timeout is this much, and two election timeouts on top.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The storage node and the gateway, running.
pub(crate) struct Serving {
    node: Arc<Node>,
    server: JoinHandle<()>,
    shutdown: oneshot::Sender<()>,
}

/// Starts the storage node, waits until its cluster has a leader, and serves clients.
pub(crate) async fn serve(
    storenode: storenode::config::Config,
    gateway: gateway::config::Config,
    listeners: Vec<TcpListener>,
) -> Result<Serving, StartError> {
    let registry = Registry::new();
    let node = start_node(storenode.clone(), registry.clone()).await?;
    node.publish(myself(&storenode)).await.map_err(|_| StartError::Stopped)?;
    let server_timeout = REQUEST_TIMEOUT + 2 * storenode.election_timeout;
    let etcd = etcd(&storenode, &gateway, server_timeout, &node, &registry)?;
    let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
    let (shutdown, asked) = oneshot::channel();
    let asked = async move {
        // A dropped sender asks for the end as well.
        let _ = asked.await;
    };
    let server = tokio::spawn(listener::serve(listeners, etcd, Options::from(&gateway), asked));
    Ok(Serving { node, server, shutdown })
}

/// Recovery reads the disk, so it does not run among the runtime's tasks.
async fn start_node(config: storenode::config::Config, registry: Registry) -> Result<Arc<Node>, StartError> {
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let _context = runtime.enter();
        let surroundings = Surroundings {
            files: Arc::new(storenode::files::Disk),
            transport: Arc::new(NoPeers),
            clock: Arc::new(Instant::now),
        };
        Node::start(&config, surroundings, &registry, Tuning::default())
    };
    let started = tokio::task::spawn_blocking(start).await.map_err(|_| StartError::Stopped)?;
    Ok(Arc::new(started?))
}

/// What this member tells the cluster of itself.
fn myself(config: &storenode::config::Config) -> Member {
    let founder = config.members.iter().find(|member| member.id == config.member_id).cloned().unwrap_or_default();
    Member {
        id: config.member_id,
        name: config.name.clone(),
        client_urls: config.client_urls.clone(),
        format: Entry::FORMAT,
        ..founder
    }
}

type Service = Etcd<gateway::stack::Stack<Router>, WatchService>;

fn etcd(
    storenode: &storenode::config::Config,
    gateway: &gateway::config::Config,
    server_timeout: Duration,
    node: &Arc<Node>,
    registry: &Registry,
) -> Result<Service, StartError> {
    let store: Arc<dyn Store> = Arc::clone(node) as Arc<dyn Store>;
    let nodes = Arc::new(Nodes::sole(store));
    let router = Router::new(Arc::clone(&nodes), server_timeout);
    let floor = Arc::clone(router.floor());
    let identity = Identity { cluster: storenode.cluster_id, member: Some(storenode.member_id) };
    let stack = stack(router, TelemetryLayer::new(registry, gateway.slow_request)?, server_timeout);
    let hub = Arc::new(watch::Hub::new(nodes, floor));
    let watch = WatchService::new(hub, identity, gateway);
    Ok(Etcd::new(Caller::new(stack, identity, Arc::new(gateway.clone())), watch, registry)?)
}

impl Serving {
    /// Waits until a part cannot go on, and returns why.
    pub(crate) async fn failed(&mut self) -> String {
        tokio::select! {
            reason = self.node.failed() => reason,
            _ = &mut self.server => "the listener ended".to_owned(),
        }
    }

    /// Stops accepting, drains, then stops the node.
    pub(crate) async fn stop(self) {
        let _ = self.shutdown.send(());
        // It ends when all is drained or the drain's own deadline has passed; a panic in it changes nothing here.
        let _ = self.server.await;
        let node = self.node;
        let _ = tokio::task::spawn_blocking(move || node.stop()).await;
    }
}
