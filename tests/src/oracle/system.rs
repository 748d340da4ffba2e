//! One system of a comparison: its processes, its clients, its watch streams and the ids it has chosen.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    RangeRequest, RangeResponse, RangeStreamResponse,
};
use tokio::sync::Notify;
use tonic::{Response, Status, Streaming};

use super::answer::{Answer, Revisions, normalise};
use super::fault::Fault;
use super::operation::{Operation, Stream};
use super::symbol::{self, Chosen, Position, resolve};
use super::watching::WatchStream;
use crate::binary::Program;
use crate::client::Client;
use crate::deployment::{Deployment, Form};
use crate::process::StartFailure;

/// Without syncs and with a short first election, so that many comparisons fit into a suite.
const ETCD_FLAGS: &[&str] =
    &["--unsafe-no-fsync", "--log-level=error", "--heartbeat-interval=20", "--election-timeout=100"];

/// A system and everything one client knows of it.
pub struct System {
    /// The processes.
    pub server: Deployment,
    /// The connection.
    pub client: Client,
    /// The watch streams that are open.
    pub streams: BTreeMap<Stream, WatchStream>,
    /// The ids of leases that the server chose.
    pub chosen: Chosen,
    fault: Option<Fault>,
}

impl System {
    /// Starts it with an empty store.
    ///
    /// # Errors
    /// When it does not start or cannot be reached.
    pub async fn start(form: Form, fault: Option<Fault>) -> Result<Self, StartFailure> {
        let flags = if form == Form::Alone(Program::Etcd) { ETCD_FLAGS } else { &[] };
        let server = Deployment::start(form, flags).await?;
        let client = Client::connect(server.client()).await.map_err(|error| StartFailure(error.to_string()))?;
        Ok(Self { server, client, streams: BTreeMap::new(), chosen: Chosen::default(), fault })
    }

    /// The operation in this system's numbers.
    #[must_use]
    pub fn resolve(&self, operation: &Operation, position: Position) -> Operation {
        resolve(operation, position, &self.chosen)
    }

    /// Performs an operation that has one answer, and normalises it.
    pub async fn answer(&mut self, operation: &Operation, position: Position) -> Answer {
        let resolved = self.resolve(operation, position);
        let mut answer = call(&self.client, resolved).await.unwrap_or_else(Answer::from);
        if let (Answer::Grant(grant), Some(slot)) = (&answer, symbol::slot(symbol::granted_id(operation))) {
            self.chosen.remember(slot, grant.id);
        }
        normalise(&mut answer, &self.chosen, Revisions::Equal);
        if let Some(fault) = self.fault {
            fault.distort(&mut answer);
        }
        answer
    }

    /// Opens the stream if it is not open.
    ///
    /// # Errors
    /// What the server answers instead of a stream.
    pub async fn open(&mut self, stream: Stream, changed: &Arc<Notify>) -> Result<(), Status> {
        if !self.streams.contains_key(&stream) {
            let opened = WatchStream::open(&self.client, changed.clone(), self.fault).await?;
            self.streams.insert(stream, opened);
        }
        Ok(())
    }
}

/// Performs one operation with one answer.
///
/// # Errors
/// The server's.
pub async fn call(client: &Client, operation: Operation) -> Result<Answer, Status> {
    let (mut kv, mut lease) = (client.kv.clone(), client.lease.clone());
    Ok(match operation {
        Operation::Range(request) => Answer::Range(kv.range(request).await?.into_inner()),
        Operation::RangeStream(request) => stream_range(client, request).await?,
        Operation::Put(request) => Answer::Put(kv.put(request).await?.into_inner()),
        Operation::Delete(request) => Answer::Delete(kv.delete_range(request).await?.into_inner()),
        Operation::Txn(request) => Answer::Txn(kv.txn(request).await?.into_inner()),
        Operation::Compact(request) => Answer::Compact(kv.compact(request).await?.into_inner()),
        Operation::Grant(request) => Answer::Grant(lease.lease_grant(request).await?.into_inner()),
        Operation::Revoke(id) => Answer::Revoke(lease.lease_revoke(LeaseRevokeRequest { id }).await?.into_inner()),
        Operation::KeepAlive(id) => keep_alive(client, id).await?,
        Operation::TimeToLive(id, keys) => {
            Answer::TimeToLive(lease.lease_time_to_live(LeaseTimeToLiveRequest { id, keys }).await?.into_inner())
        }
        Operation::Leases => Answer::Leases(lease.lease_leases(LeaseLeasesRequest {}).await?.into_inner()),
        Operation::Watch(..) | Operation::CancelWatch(..) | Operation::Progress(_) | Operation::Settle => {
            Answer::Broken("a watch operation has no answer of its own".to_owned())
        }
    })
}

async fn keep_alive(client: &Client, id: i64) -> Result<Answer, Status> {
    let requests = tokio_stream::once(LeaseKeepAliveRequest { id });
    let response: Response<Streaming<LeaseKeepAliveResponse>> = client.lease.clone().lease_keep_alive(requests).await?;
    let mut responses = response.into_inner();
    let first = responses.message().await?;
    let second = responses.message().await?;
    Ok(match (first, second) {
        (Some(answer), None) => Answer::KeepAlive(answer),
        other => Answer::Broken(format!("one keepalive was answered by {other:?}")),
    })
}

/// Merges the messages as protobuf would, and checks that each part comes once.
async fn stream_range(client: &Client, request: RangeRequest) -> Result<Answer, Status> {
    let mut messages = client.kv.clone().range_stream(request).await?.into_inner();
    let mut merged = RangeResponse::default();
    while let Some(RangeStreamResponse { range_response }) = messages.message().await? {
        let Some(part) = range_response else { return Ok(Answer::Broken("a message without a range".to_owned())) };
        if merged.header.is_some() {
            return Ok(Answer::Broken("a message after the one with the header".to_owned()));
        }
        merged.kvs.extend(part.kvs);
        merged.header = part.header;
        merged.more = part.more;
        merged.count = part.count;
    }
    Ok(Answer::Range(merged))
}
