//! The wiring: a storage node, a gateway before it, and the sockets they serve.
//!
//! ```text
//!  sockets ─► listener ─► etcd ─► stack ─► router ─┐
//!                          └────► watch hub ───────┴─► node (same process, frames through memory) ─► members
//! ```

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::middleware::telemetry::TelemetryLayer;
use gateway::protocols::etcd::{Caller, Etcd, Identity, WatchService};
use gateway::protocols::listener::{self, Options};
use gateway::router::Router;
use gateway::{stack::stack, watch};
use internal_proto::{Entry, Member, Store};
use prometheus::Registry;
use storenode::{Node, Peers, Surroundings, Tuning};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::StartError;
use crate::config::Myself;
use crate::members::{self, Members};

/// etcd's server timeout is this much, and two election timeouts on top.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A member serves clients once it is published, or after this long without a leader: then it says so to them, and
/// still answers what needs none (etcd's rule).
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Listening sockets, bound before anything starts.
pub(crate) struct Sockets {
    /// For clients.
    pub(crate) clients: Vec<TcpListener>,
    /// For other members.
    pub(crate) members: Vec<TcpListener>,
}

/// The storage node and the gateway, running.
pub(crate) struct Serving {
    node: Arc<Node>,
    members: Members,
    server: JoinHandle<()>,
    shutdown: oneshot::Sender<()>,
}

/// Starts the storage node, connects it with the other members, and serves clients once it is ready.
pub(crate) async fn serve(
    storenode: storenode::config::Config,
    who: &Myself,
    gateway: gateway::config::Config,
    sockets: Sockets,
) -> Result<Serving, StartError> {
    let registry = Registry::new();
    let peers = members::peers(who);
    let node = start_node(storenode.clone(), Arc::clone(&peers), registry.clone()).await?;
    let members = members::connect(peers, &node, sockets.members)?;
    publish(&node, myself(&storenode)).await?;
    let server_timeout = REQUEST_TIMEOUT + 2 * storenode.election_timeout;
    let etcd = etcd(&storenode, &gateway, server_timeout, &node, &registry)?;
    let listeners = sockets.clients.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
    let (shutdown, asked) = oneshot::channel();
    let asked = async move {
        // A dropped sender asks for the end as well.
        let _ = asked.await;
    };
    let server = tokio::spawn(listener::serve(listeners, etcd, Options::from(&gateway), asked));
    Ok(Serving { node, members, server, shutdown })
}

/// Recovery reads the disk, so it does not run among the runtime's tasks.
async fn start_node(
    config: storenode::config::Config,
    transport: Arc<Peers>,
    registry: Registry,
) -> Result<Arc<Node>, StartError> {
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let _context = runtime.enter();
        let surroundings =
            Surroundings { files: Arc::new(storenode::files::Disk), transport, clock: Arc::new(Instant::now) };
        Node::start(&config, surroundings, &registry, Tuning::default())
    };
    let started = tokio::task::spawn_blocking(start).await.map_err(|_| StartError::Stopped)?;
    Ok(Arc::new(started?))
}

/// Publishes this member. Without a leader that goes on while clients are served already.
async fn publish(node: &Arc<Node>, member: Member) -> Result<(), StartError> {
    let publishing = Arc::clone(node);
    let published = tokio::spawn(async move { publishing.publish(member).await });
    tokio::select! {
        published = published => match published {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StartError::Stopped),
        },
        _ = node.failed() => Err(StartError::Stopped),
        () = tokio::time::sleep(READY_WITHIN) => {
            tracing::warn!("serving clients although the cluster has no leader yet");
            Ok(())
        }
    }
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
    let router = Router::new(Arc::clone(&store));
    let floor = Arc::clone(router.floor());
    let identity = Identity { cluster: storenode.cluster_id, member: Some(storenode.member_id) };
    let stack = stack(router, TelemetryLayer::new(registry, gateway.slow_request)?, server_timeout);
    let hub = Arc::new(watch::Hub::new(store, floor));
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

    /// Gives leadership away, stops accepting, drains, then stops the node.
    pub(crate) async fn stop(self) {
        self.node.hand_over().await;
        let _ = self.shutdown.send(());
        // It ends when all is drained or the drain's own deadline has passed; a panic in it changes nothing here.
        let _ = self.server.await;
        let node = self.node;
        let _ = tokio::task::spawn_blocking(move || node.stop()).await;
        self.members.disconnect().await;
    }
}
