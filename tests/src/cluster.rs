//! Several server processes that form one cluster, told to each other by `--initial-cluster`.
//!
//! Invariants: a wait is for what the members themselves say, with a deadline; a member is asked at its own port.

use std::future::Future;
use std::time::{Duration, Instant};

use proto::etcdserverpb::{RangeRequest, StatusRequest, StatusResponse};
use tonic::Status;

use crate::binary::Program;
use crate::client::Client;
use crate::ports::free_port;
use crate::process::{Server, StartFailure};

/// For everything a cluster does by itself; far more than it takes, except on an overloaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(5);
/// One member's answer to one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Members of one cluster, running or not.
pub struct Cluster {
    /// In the order of their names.
    pub members: Vec<Server>,
}

impl Cluster {
    /// Starts `size` members with new data directories and waits until one leads and all say so.
    ///
    /// # Errors
    /// When they do not agree in time; with the tail of the first member's log.
    pub async fn start(program: Program, size: usize, flags: &[&str]) -> Result<Self, StartFailure> {
        let failed = |error: std::io::Error| StartFailure(error.to_string());
        let ports = (0..size).map(|_| free_port()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let named: Vec<_> = ports.iter().enumerate().map(|(index, port)| (format!("m{index}"), *port)).collect();
        let list = named.iter().map(|(name, port)| format!("{name}=http://{port}")).collect::<Vec<_>>().join(",");
        let prepare = |(name, port): &(String, _)| Server::prepare(program, name, *port, &list, flags);
        let members = named.iter().map(prepare).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mut cluster = Self { members };
        for member in &mut cluster.members {
            member.spawn().map_err(failed)?;
        }
        cluster.leader().await?;
        Ok(cluster)
    }

    /// Starts one more process that takes itself for a member: its name and URLs, but new data and ports of its own.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn stranger(&self, index: usize, flags: &[&str]) -> Result<Server, StartFailure> {
        let failed = |error: std::io::Error| StartFailure(error.to_string());
        let listen = format!("--listen-peer-urls=http://{}", free_port().map_err(failed)?);
        let mut stranger = self.members[index].twin().map_err(failed)?;
        stranger.add_flags(&[listen.as_str()]);
        stranger.add_flags(flags);
        stranger.spawn().map_err(failed)?;
        Ok(stranger)
    }

    /// Starts a member again with its flags and its data, without waiting for it.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn restart(&mut self, index: usize) -> Result<(), StartFailure> {
        self.members[index].spawn().map_err(|error| StartFailure(error.to_string()))
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
            let id = |status: &StatusResponse| status.header.as_ref().map_or(0, |header| header.member_id);
            let (index, _) = statuses.iter().find(|(_, status)| id(status) == leader)?;
            (agree && leader != 0).then_some(*index)
        })
        .await
    }

    /// Waits until all running members have applied the same entries and hold the same keys; how many keys.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn agree(&self) -> Result<usize, StartFailure> {
        self.wait("do not hold the same", || async {
            let statuses = self.statuses().await?;
            let applied = statuses.first()?.1.raft_applied_index;
            if statuses.iter().any(|(_, status)| status.raft_applied_index != applied) {
                return None;
            }
            let mut contents = Vec::new();
            for (index, _) in statuses {
                contents.push(content(&self.client(index).await?).await.ok()?);
            }
            contents.iter().all(|content| *content == contents[0]).then(|| contents[0].1.len())
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

/// A member's revision and all its key-values, as it has them itself.
async fn content(client: &Client) -> Result<(i64, Vec<internal_proto::KeyValue>), Status> {
    let everything: bytes::Bytes = vec![0].into();
    let request =
        RangeRequest { key: everything.clone(), range_end: everything, serializable: true, ..RangeRequest::default() };
    let answer = client.kv.clone().range(request).await?.into_inner();
    Ok((answer.header.map_or(0, |header| header.revision), answer.kvs))
}
