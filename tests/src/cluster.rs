//! Several server processes that form one cluster, told to each other by `--initial-cluster`.
//!
//! Invariants: a wait is for what the members themselves say, with a deadline; a member is asked at its own port.

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proto::etcdserverpb::{RangeRequest, StatusRequest, StatusResponse};
use tonic::Status;

use crate::binary::Program;
use crate::client::Client;
use crate::network::{self, Network};
use crate::ports::free_port;
use crate::process::{Server, StartFailure};

/// Members of both engines.
pub const MIXED: [Program; 3] = [Program::MetaStore, Program::MetaStoreOnDisk, Program::MetaStoreOnDisk];

/// For everything a cluster does by itself; far more than it takes, except on an overloaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(5);
/// One member's answer to one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Keys asked for at once.
const PAGE: i64 = 1_000;

/// Where all members of a cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The last entry that all have applied.
    pub applied: u64,
    /// How many keys there are.
    pub keys: usize,
}

/// Members of one cluster, running or not.
pub struct Cluster {
    /// In the order of their names.
    pub members: Vec<Server>,
    /// Their names and peer URLs, as `--initial-cluster` has them.
    pub list: String,
}

impl Cluster {
    /// Starts members with new data directories, one of each program, and waits until one leads and all say so.
    ///
    /// # Errors
    /// When they do not agree in time; with the tail of the first member's log.
    pub async fn start(programs: &[Program], flags: &[&str]) -> Result<Self, StartFailure> {
        let mut cluster = Self::prepare(programs, flags)?;
        cluster.found().await?;
        Ok(cluster)
    }

    /// Like [`Cluster::start`], by the flags of the earlier product: members are numbers in a list of URLs.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_by_numbers(programs: &[Program]) -> Result<Self, StartFailure> {
        let peers = programs.iter().map(|_| free_port()).collect::<Result<Vec<_>, _>>()?;
        let list = peers.iter().map(|peer| format!("http://{peer}")).collect::<Vec<_>>().join(",");
        let member = |(number, program): (usize, &Program)| {
            let client = free_port()?;
            let mut arguments = vec![
                format!("--member-id={number}"),
                format!("--cluster={list}"),
                format!("--grpc-port={}", client.port()),
            ];
            arguments.extend(program.flags().iter().map(|&flag| flag.to_owned()));
            Server::assemble(*program, client, arguments)
        };
        let members = (1..).zip(programs).map(member).collect::<Result<Vec<_>, _>>()?;
        let mut cluster = Self { members, list };
        cluster.found().await?;
        Ok(cluster)
    }

    /// Like [`Cluster::start`], with members that reach each other over a network that can be cut.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_behind(network: &Network, programs: &[Program]) -> Result<Self, StartFailure> {
        let advertised: Vec<SocketAddr> = network.doors().iter().map(|door| door.advertised).collect();
        let mut cluster = Self::prepare_at(&advertised, programs, &[])?;
        network::place(&mut cluster.members, network);
        cluster.found().await?;
        Ok(cluster)
    }

    /// Like [`Cluster::start`], each member's data on a filesystem of its own of so many megabytes, whose power can
    /// fail. `None`, having said so, where this user cannot mount one.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_on_powered_disks(programs: &[Program], megabytes: u64) -> Result<Option<Self>, StartFailure> {
        let mut cluster = Self::prepare(programs, &[])?;
        for member in &mut cluster.members {
            if !member.give_powered_disk(megabytes)? {
                return Ok(None);
            }
        }
        cluster.found().await?;
        Ok(Some(cluster))
    }

    /// Members that were never started. Clients can do what they like to one of them before [`Cluster::found`].
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn prepare(programs: &[Program], flags: &[&str]) -> Result<Self, StartFailure> {
        let ports = programs.iter().map(|_| free_port()).collect::<Result<Vec<_>, _>>();
        Self::prepare_at(&ports?, programs, flags)
    }

    fn prepare_at(ports: &[SocketAddr], programs: &[Program], flags: &[&str]) -> Result<Self, StartFailure> {
        let named = |(index, port): (usize, &SocketAddr)| format!("{}=http://{port}", name(index));
        let list = ports.iter().enumerate().map(named).collect::<Vec<_>>().join(",");
        let member = |(index, (port, program)): (usize, (&SocketAddr, &Program))| {
            Server::prepare(*program, &name(index), *port, &list, flags)
        };
        let members = ports.iter().zip(programs).enumerate().map(member).collect::<Result<Vec<_>, _>>();
        Ok(Self { members: members?, list })
    }

    /// Starts all members and waits until one leads and all say so.
    ///
    /// # Errors
    /// When they do not agree in time; with the tails of their logs.
    pub async fn found(&mut self) -> Result<(), StartFailure> {
        for index in 0..self.members.len() {
            self.restart(index)?;
        }
        self.leader().await.map(drop)
    }

    /// Starts one more process that takes itself for a member: its name and URLs, but new data and ports of its own.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn stranger(&self, index: usize, flags: &[&str]) -> Result<Server, StartFailure> {
        let listen = format!("--listen-peer-urls=http://{}", free_port()?);
        let mut stranger = self.members[index].twin()?;
        stranger.add_flags(&[listen.as_str()]);
        stranger.add_flags(flags);
        stranger.spawn()?;
        Ok(stranger)
    }

    /// Starts a member again with its flags and its data, without waiting for it.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn restart(&mut self, index: usize) -> Result<(), StartFailure> {
        Ok(self.members[index].spawn()?)
    }

    /// Waits until a running member leads and all running ones say so; its place in the list.
    ///
    /// # Errors
    /// When they do not agree in time.
    pub async fn leader(&self) -> Result<usize, StartFailure> {
        self.wait("do not agree on a leader", || async {
            let statuses = self.statuses().await?;
            let leader = statuses.first()?.1.leader;
            let agree = statuses.iter().all(|(_, status)| status.leader == leader);
            let (index, _) = statuses.iter().find(|(_, status)| member_id(status) == leader)?;
            (agree && leader != 0).then_some(*index)
        })
        .await
    }

    /// Waits until all running members have applied the same entries and hold the same keys; how many keys.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn agree(&self) -> Result<usize, StartFailure> {
        self.settle().await.map(|settled| settled.keys)
    }

    /// Waits until all running members have applied the same entries and hold the same keys.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn settle(&self) -> Result<Settled, StartFailure> {
        self.wait("do not hold the same", || async {
            let statuses = self.statuses().await?;
            let applied = statuses.first()?.1.raft_applied_index;
            // One that has no data yet has others answer its clients.
            let answered: BTreeSet<_> = statuses.iter().map(|(_, status)| member_id(status)).collect();
            let equal = statuses.iter().all(|(_, status)| status.raft_applied_index == applied);
            if answered.len() < statuses.len() || !equal {
                return None;
            }
            let mut contents = Vec::new();
            for (index, _) in statuses {
                contents.push(content(&self.client(index).await?).await.ok()?);
            }
            let equal = contents.iter().all(|content| *content == contents[0]);
            equal.then(|| Settled { applied, keys: contents[0].keys })
        })
        .await
    }

    /// A client of one member, if it can be reached.
    pub async fn client(&self, index: usize) -> Option<Client> {
        Client::connect(self.members[index].client()).await.ok()
    }

    /// What the running members say of themselves; `None` unless all do.
    async fn statuses(&self) -> Option<Vec<(usize, StatusResponse)>> {
        let mut statuses = Vec::new();
        for (index, member) in self.members.iter().enumerate().filter(|(_, member)| member.is_running()) {
            let client = Client::connect(member.client()).await.ok()?;
            let mut maintenance = client.maintenance;
            let status = maintenance.status(StatusRequest::default());
            let status = tokio::time::timeout(ANSWER_WITHIN, status).await.ok()?.ok()?;
            statuses.push((index, status.into_inner()));
        }
        Some(statuses)
    }

    async fn wait<T, F: Future<Output = Option<T>>>(
        &self,
        otherwise: &str,
        condition: impl Fn() -> F,
    ) -> Result<T, StartFailure> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if let Some(value) = condition().await {
                return Ok(value);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let logs = self.members.iter().map(Server::log_tail).collect::<Vec<_>>().join("\n---\n");
        Err(StartFailure(format!("the members {otherwise} in time; their logs end:\n{logs}")))
    }
}

/// What a member is called.
fn name(index: usize) -> String {
    format!("m{index}")
}

/// What a member holds.
#[derive(PartialEq, Eq)]
struct Content {
    revision: i64,
    keys: usize,
    /// Of all key-values, in order.
    digest: u64,
}

/// Read page by page: it may be more than one message can carry.
async fn content(client: &Client) -> Result<Content, Status> {
    let everything: bytes::Bytes = vec![0].into();
    let mut request = RangeRequest {
        key: everything.clone(),
        range_end: everything,
        serializable: true,
        limit: PAGE,
        ..RangeRequest::default()
    };
    let (mut keys, mut digest) = (0, DefaultHasher::new());
    loop {
        let answer = client.kv.clone().range(request.clone()).await?.into_inner();
        if request.revision == 0 {
            request.revision = answer.header.map_or(0, |header| header.revision);
        }
        keys += answer.kvs.len();
        answer.kvs.iter().for_each(|kv| digest.write(kv.encoded()));
        match answer.kvs.last() {
            Some(last) if answer.more => request.key = [last.key(), &[0]].concat().into(),
            _ => return Ok(Content { revision: request.revision, keys, digest: digest.finish() }),
        }
    }
}

/// Who has answered.
fn member_id(status: &StatusResponse) -> u64 {
    status.header.as_ref().map_or(0, |header| header.member_id)
}
