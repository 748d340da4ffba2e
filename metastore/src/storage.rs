//! The storage node of this process, and its place among the members.
//!
//! ```text
//!  node ─► peers ═══► other members' ports
//!  node ◄─ server ◄── other members and gateways, through one check      peer sockets: Peer, Store, Admin
//!                                                                        store sockets: Store, Admin
//! ```

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{Entry, Member, Store};
use prometheus::Registry;
use storenode::config::Config;
use storenode::{Admission, Introduction, Node, Peers, Recipient, Surroundings, Tuning, admin, peer, server, service};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::StartError;
use crate::config::Myself;
use crate::lost_disk;

/// A member serves once it is published, or after this long without a leader: then it says so to clients, and still
/// answers what needs none (etcd's rule).
const READY_WITHIN: Duration = Duration::from_secs(5);

/// What the last answers get to leave a node that has stopped: streams of gateways never end by themselves.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// A storage node at work.
pub(crate) struct Storage {
    node: Arc<Node>,
    /// What it tells the cluster of itself.
    record: Member,
    peers: Arc<Peers>,
    servers: Vec<(JoinHandle<()>, oneshot::Sender<()>)>,
}

/// Listening sockets of a storage node.
pub(crate) struct Sockets {
    /// For other members and for gateways.
    pub(crate) peers: Vec<TcpListener>,
    /// For gateways alone.
    pub(crate) gateways: Vec<TcpListener>,
}

impl Storage {
    /// Recovers the node, serves other members and gateways, and connects to the members.
    ///
    /// # Errors
    /// What keeps the node from starting.
    pub(crate) async fn start(
        mut config: Config,
        who: &Myself,
        store_urls: Vec<String>,
        sockets: Sockets,
        registry: Registry,
    ) -> Result<Self, StartError> {
        if !config.joins && lost_disk::is_known_to_others(who, &config.data_dir, &sockets.peers).await? {
            tracing::warn!(
                "this member's data is gone, while others of its cluster know it: it copies everything from them, and \
                 neither votes nor acknowledges before that"
            );
            config.joins = true;
        }
        let introduction = Introduction::new(who.member_id, who.cluster_id, &who.token);
        let peers = Arc::new(Peers::new(introduction, &who.first_members));
        let node = start_node(config.clone(), Arc::clone(&peers), registry).await?;
        let recipient = Arc::clone(&node) as Arc<dyn Recipient>;
        let admission = Arc::new(Admission::new(who.cluster_id, &who.token));
        let for_gateways = || {
            server::Routes::new(service::service(Arc::clone(&node) as Arc<dyn Store>))
                .add_service(admin::service(Arc::clone(&node), &config))
        };
        let for_peers = for_gateways().add_service(peer::service(Arc::clone(&peers), Arc::clone(&recipient)));
        let mut servers = vec![serve(sockets.peers, &admission, for_peers)?];
        if !sockets.gateways.is_empty() {
            servers.push(serve(sockets.gateways, &admission, for_gateways())?);
        }
        peers.connect(&recipient);
        let record = record(&config, store_urls);
        Ok(Self { node, record, peers, servers })
    }

    /// The node.
    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Publishes this member. Without a leader that goes on after the return.
    ///
    /// # Errors
    /// When the node stops first.
    pub(crate) async fn publish(&self) -> Result<(), StartError> {
        let (publishing, record) = (Arc::clone(&self.node), self.record.clone());
        let published = tokio::spawn(async move { publishing.publish(record).await });
        tokio::select! {
            published = published => match published {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(StartError::Stopped),
            },
            _ = self.node.failed() => Err(StartError::Stopped),
            () = tokio::time::sleep(READY_WITHIN) => {
                tracing::warn!("serving although the cluster has no leader yet");
                Ok(())
            }
        }
    }

    /// Stops the node, then its connections.
    pub(crate) async fn stop(self) {
        let node = Arc::clone(&self.node);
        let _ = tokio::task::spawn_blocking(move || node.stop()).await;
        self.peers.disconnect();
        for (task, shutdown) in self.servers {
            let _ = shutdown.send(());
            let abort = task.abort_handle();
            // A panic in it changes nothing here.
            let _ = tokio::time::timeout(LAST_ANSWERS, task).await;
            abort.abort();
        }
    }
}

/// Recovery reads the disk, so it does not run among the runtime's tasks.
async fn start_node(config: Config, transport: Arc<Peers>, registry: Registry) -> Result<Arc<Node>, StartError> {
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

fn serve(
    sockets: Vec<TcpListener>,
    admission: &Arc<Admission>,
    routes: server::Routes,
) -> std::io::Result<(JoinHandle<()>, oneshot::Sender<()>)> {
    let sockets = sockets.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
    let admission = Arc::clone(admission);
    let (shutdown, asked) = oneshot::channel();
    let asked = async move {
        // A dropped sender asks for the end as well.
        let _ = asked.await;
    };
    let work = async move {
        if let Err(error) = server::serve(sockets, admission, routes, asked).await {
            tracing::error!(%error, "other members and gateways cannot be served any more");
        }
    };
    Ok((tokio::spawn(work), shutdown))
}

fn record(config: &Config, store_urls: Vec<String>) -> Member {
    let founder = config.members.iter().find(|member| member.id == config.member_id).cloned().unwrap_or_default();
    Member {
        id: config.member_id,
        name: config.name.clone(),
        client_urls: config.client_urls.clone(),
        store_urls,
        format: Entry::FORMAT,
        ..founder
    }
}
