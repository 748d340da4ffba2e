//! The split form as processes: storage nodes, and gateways before them.
//!
//! ```text
//!  clients ─► gateway 0 ─┬─► storenode 0
//!  clients ─► gateway 1 ─┴─► storenode 1, 2     operations ports of their own, all on loopback
//! ```

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use metastore::identity;
use proto::etcdserverpb::StatusRequest;
use serde_json::Value;

use crate::binary::Program;
use crate::client::Client;
use crate::network::{self, Network};
use crate::ports::free_port;
use crate::process::{Server, StartFailure};

/// The secret of every cluster here.
pub const TOKEN: &str = "--initial-cluster-token=secret of the split";

/// Storage nodes of both engines.
pub const MIXED: [Program; 3] = [Program::StoreNode, Program::StoreNodeOnDisk, Program::StoreNodeOnDisk];

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
    /// Where the storage nodes listen, whatever others have to pass to get there.
    listening: Vec<SocketAddr>,
}

impl Split {
    /// Starts storage nodes with new data, and so many gateways with these flags, and waits until clients are served
    /// everywhere.
    ///
    /// # Errors
    /// When they are not in time; with the tail of a log.
    pub async fn start(programs: &[Program], gateways: usize, flags: &[&str]) -> Result<Self, StartFailure> {
        let mut split = Self::prepare(programs)?;
        for _ in 0..gateways {
            let gateway = split.assemble_gateway(&[&[TOKEN], flags].concat())?;
            split.gateways.push(gateway);
        }
        split.found().await?;
        Ok(split)
    }

    /// Like [`Split::start`], with storage nodes that are reached over a network that can be cut.
    ///
    /// # Errors
    /// As [`Split::start`].
    pub async fn start_behind(network: &Network, programs: &[Program], gateways: usize) -> Result<Self, StartFailure> {
        let mut split = Self::prepare_at(network.doors().iter().map(|door| door.advertised).collect(), programs)?;
        network::place(&mut split.storenodes, network);
        split.listening = network.doors().iter().map(|door| door.behind).collect();
        for index in 0..gateways {
            let mut gateway = split.assemble_gateway(&[TOKEN])?;
            gateway.set_variable(network::PLACE, network.gateway(index).to_string());
            split.gateways.push(gateway);
        }
        split.found().await?;
        Ok(split)
    }

    async fn found(&mut self) -> Result<(), StartFailure> {
        for server in self.storenodes.iter_mut().chain(&mut self.gateways) {
            server.spawn()?;
        }
        for server in self.gateways.iter_mut().chain(&mut self.storenodes) {
            server.ready().await?;
        }
        Ok(())
    }

    /// Storage nodes that were never started, and no gateway.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn prepare(programs: &[Program]) -> Result<Self, StartFailure> {
        let peers = programs.iter().map(|_| free_port()).collect::<Result<Vec<_>, _>>()?;
        Self::prepare_at(peers, programs)
    }

    fn prepare_at(peers: Vec<SocketAddr>, programs: &[Program]) -> Result<Self, StartFailure> {
        let named = |(index, peer): (usize, &SocketAddr)| format!("s{index}=http://{peer}");
        let list = peers.iter().enumerate().map(named).collect::<Vec<_>>().join(",");
        let storenode = |(index, program)| storenode(program, index, &peers[index], &list);
        let storenodes = programs.iter().copied().enumerate().map(storenode).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { storenodes, gateways: Vec::new(), listening: peers.clone(), peers })
    }

    /// Starts one more gateway, whose token is among the flags, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn gateway(&self, flags: &[&str]) -> Result<Server, StartFailure> {
        let mut gateway = self.assemble_gateway(flags)?;
        gateway.spawn()?;
        Ok(gateway)
    }

    fn assemble_gateway(&self, flags: &[&str]) -> Result<Server, StartFailure> {
        let (client, operations) = (free_port()?, free_port()?);
        let seeds = self.peers.iter().map(|peer| format!("http://{peer}")).collect::<Vec<_>>().join(",");
        let mut arguments = vec![
            format!("--storenodes={seeds}"),
            format!("--listen-client-urls=http://{client}"),
            format!("--listen-metrics-urls=http://{operations}"),
        ];
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        Ok(Server::assemble(Program::Gateway, client, arguments)?)
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

    /// Waits until all storage nodes have applied the same entries; the last of them.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn settle(&self) -> Result<u64, StartFailure> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if let Some(applied) = self.applied() {
                return Ok(applied);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        Err(StartFailure("the storage nodes have not all applied the same in time".to_owned()))
    }

    /// What all storage nodes say that they have applied; `None` if they do not say the same.
    fn applied(&self) -> Option<u64> {
        let all: Vec<String> = self.listening.iter().map(|address| format!("http://{address}")).collect();
        let endpoint = format!("--endpoint={}", all.join(","));
        let asked =
            Command::new(Program::StoreNode.path()).args(["status", &endpoint, TOKEN, "--output=json"]).output();
        let said = String::from_utf8(asked.ok()?.stdout).ok()?;
        let applied = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("applied")?.as_u64();
        let applied = said.lines().map(applied).collect::<Option<Vec<u64>>>()?;
        let equal = applied.len() == all.len() && applied.iter().all(|one| *one == applied[0]);
        equal.then(|| applied[0])
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

fn storenode(program: Program, index: usize, peer: &SocketAddr, initial_cluster: &str) -> std::io::Result<Server> {
    let operations = free_port()?;
    let mut arguments = vec![
        format!("--name=s{index}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster={initial_cluster}"),
        format!("--listen-metrics-urls=http://{operations}"),
        TOKEN.to_owned(),
    ];
    arguments.extend(program.flags().iter().map(|&flag| flag.to_owned()));
    Server::assemble(program, operations, arguments)
}
