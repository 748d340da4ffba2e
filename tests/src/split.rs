//! The split form as processes: storage nodes, and gateways before them.
//!
//! ```text
//!  clients ─► gateway 0 ─┬─► storenode 0
//!  clients ─► gateway 1 ─┴─► storenode 1, 2     operations ports of their own, all on loopback
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use metastore::identity;
use proto::etcdserverpb::StatusRequest;

use crate::binary::Program;
use crate::client::Client;
use crate::ports::free_port;
use crate::process::{Server, StartFailure};

/// The secret of every cluster here.
pub const TOKEN: &str = "--initial-cluster-token=secret of the split";

/// For everything a cluster does by itself; far more than it takes, except on an overloaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Storage nodes and gateways, running or not.
pub struct Split {
    /// In the order of their names.
    pub storenodes: Vec<Server>,
    /// All alike.
    pub gateways: Vec<Server>,
    peers: Vec<SocketAddr>,
}

impl Split {
    /// Starts so many storage nodes with new data, and gateways, and waits until clients are served everywhere.
    ///
    /// # Errors
    /// When they are not in time; with the tail of a log.
    pub async fn start(storenodes: usize, gateways: usize) -> Result<Self, StartFailure> {
        let failed = |error: std::io::Error| StartFailure(error.to_string());
        let peers = (0..storenodes).map(|_| free_port()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let named = |(index, peer): (usize, &SocketAddr)| format!("s{index}=http://{peer}");
        let list = peers.iter().enumerate().map(named).collect::<Vec<_>>().join(",");
        let storenode = |(index, peer)| storenode(index, peer, &list).map_err(failed);
        let storenodes = peers.iter().enumerate().map(storenode).collect::<Result<Vec<_>, _>>()?;
        let mut split = Self { storenodes, gateways: Vec::new(), peers };
        for storenode in &mut split.storenodes {
            storenode.spawn().map_err(failed)?;
        }
        for _ in 0..gateways {
            let gateway = split.gateway(TOKEN)?;
            split.gateways.push(gateway);
        }
        for server in split.gateways.iter_mut().chain(&mut split.storenodes) {
            server.ready().await?;
        }
        Ok(split)
    }

    /// Starts one more gateway, with a token of its own, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn gateway(&self, token: &str) -> Result<Server, StartFailure> {
        let failed = |error: std::io::Error| StartFailure(error.to_string());
        let (client, operations) = (free_port().map_err(failed)?, free_port().map_err(failed)?);
        let seeds = self.peers.iter().map(|peer| format!("http://{peer}")).collect::<Vec<_>>().join(",");
        let arguments = vec![
            format!("--storenodes={seeds}"),
            format!("--listen-client-urls=http://{client}"),
            format!("--listen-metrics-urls=http://{operations}"),
            token.to_owned(),
        ];
        let mut gateway = Server::assemble(Program::Gateway, client, arguments).map_err(failed)?;
        gateway.spawn().map_err(failed)?;
        Ok(gateway)
    }

    /// A client of one gateway.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn client(&self, gateway: usize) -> Client {
        let address = self.gateways[gateway].client();
        Client::connect(address).await.expect("a gateway that serves takes connections")
    }

    /// Waits until a running storage node leads, as a gateway sees it; its place in the list.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader(&self, gateway: usize) -> Result<usize, StartFailure> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if let Some(leader) = self.leader_now(gateway).await
                && self.storenodes[leader].is_running()
            {
                return Ok(leader);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        Err(StartFailure(format!("nobody leads; a gateway's log ends:\n{}", self.gateways[gateway].log_tail())))
    }

    async fn leader_now(&self, gateway: usize) -> Option<usize> {
        let mut maintenance = Client::connect(self.gateways[gateway].client()).await.ok()?.maintenance;
        let status = tokio::time::timeout(ANSWER_WITHIN, maintenance.status(StatusRequest::default())).await.ok()?;
        let leader = status.ok()?.into_inner().leader;
        (0..self.peers.len()).find(|index| self.member_id(*index) == leader)
    }

    /// The id of a storage node.
    #[must_use]
    pub fn member_id(&self, index: usize) -> u64 {
        let token = TOKEN.split_once('=').map_or(TOKEN, |(_, token)| token);
        identity::member_id(&[format!("http://{}", self.peers[index])], token).0
    }

    /// Where a storage node is reached.
    #[must_use]
    pub fn peer_url(&self, index: usize) -> String {
        format!("http://{}", self.peers[index])
    }
}

fn storenode(index: usize, peer: &SocketAddr, initial_cluster: &str) -> std::io::Result<Server> {
    let operations = free_port()?;
    let arguments = vec![
        format!("--name=s{index}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster={initial_cluster}"),
        format!("--listen-metrics-urls=http://{operations}"),
        TOKEN.to_owned(),
    ];
    Server::assemble(Program::StoreNode, operations, arguments)
}
