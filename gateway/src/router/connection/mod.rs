//! One storage node across the network, as a `Store`.
//!
//! ```text
//!  barrier, leases, status ─► control lane ═══╗
//!  writes, reads of one key ► pipeline lane ══╬══► node       a connection each: the streams of one share a window
//!  other reads ─────────────► bulk lane ══════╣
//!  watch ───────────────────► link ═══════════╝
//!                             standing ◄══ pushed by the node, over the control connection
//! ```
//!
//! Invariants: nothing waits for a node that cannot be reached; what was not sent is refused with `NoLeader`, what was
//! sent and not answered has an unknown outcome; a node of another member id is never talked to.

mod backoff;
mod greeting;
mod lane;
mod link;
mod standing;

use std::time::Duration;

use internal_proto::introduction::{CLUSTER_KEY, FORMAT, FORMAT_KEY, MEMBER_KEY, RECEIVER_KEY, TOKEN_KEY};
use internal_proto::wire::{Ask, CONNECTION_WINDOW_BYTES, MAX_MESSAGE_BYTES, STREAM_WINDOW_BYTES, StoreClient};
use internal_proto::{
    Answer, Barrier, ClusterId, Error, Freshness, MemberId, Reply, Request, Responder, Standing, Store, WatchLink,
    Write,
};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};

pub use greeting::greet;
use lane::{Asked, Lane};

/// A node that does not accept by then is not there; on one machine or in one data center it takes a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two signs of life on a connection, and the wait for one: a node that stands still is noticed after both.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a gateway introduces itself on every stream to a node.
#[derive(Clone, Debug)]
pub struct Introduction(MetadataMap);

impl Introduction {
    /// With the cluster's token, and the cluster's id where it is known.
    #[must_use]
    pub fn new(cluster: Option<ClusterId>, token: &str) -> Self {
        let mut metadata = MetadataMap::new();
        metadata.insert(FORMAT_KEY, FORMAT.into());
        metadata.insert_bin(TOKEN_KEY, MetadataValue::from_bytes(token.as_bytes()));
        if let Some(cluster) = cluster {
            metadata.insert(CLUSTER_KEY, text(cluster));
        }
        Self(metadata)
    }

    /// As the gateway in a member's process.
    #[must_use]
    pub fn of_member(mut self, member: MemberId) -> Self {
        self.0.insert(MEMBER_KEY, text(member));
        self
    }

    /// On streams to one member.
    fn to(&self, member: MemberId) -> MetadataMap {
        let mut metadata = self.0.clone();
        metadata.insert(RECEIVER_KEY, text(member));
        metadata
    }
}

/// An id in hexadecimal digits, as clients print it.
fn text(id: impl std::fmt::Display) -> MetadataValue<tonic::metadata::Ascii> {
    id.to_string().parse().expect("hexadecimal digits are valid metadata")
}

/// A node across the network.
pub(super) struct Remote {
    member: MemberId,
    control: Lane,
    pipeline: Lane,
    bulk: Lane,
    watch: Client,
    standing: watch::Receiver<Standing>,
    /// Links to the watch hub end when this does: the member has left or moved.
    alive: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

/// A connection to one node, made when it is first used and again after it broke.
#[derive(Clone)]
struct Client {
    client: StoreClient<Channel>,
    headers: MetadataMap,
}

/// An address that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadAddress(Box<dyn std::error::Error + Send + Sync>);

impl Remote {
    /// Connects to the Store service of a member. Must be called within a tokio runtime.
    pub(super) fn new(member: MemberId, url: &str, introduction: &Introduction) -> Result<Self, BadAddress> {
        let client = || Client::new(url, introduction.to(member));
        let mut tasks = JoinSet::new();
        let control = client()?;
        let (said, standing) = watch::channel(Standing::default());
        tasks.spawn(standing::follow(control.clone(), member, said));
        let mut lane = |client: Client| {
            let lane = Lane::default();
            tasks.spawn(lane.clone().serve(client, member));
            lane
        };
        let (control, pipeline, bulk) = (lane(control), lane(client()?), lane(client()?));
        Ok(Self {
            member,
            control,
            pipeline,
            bulk,
            watch: client()?,
            standing,
            alive: watch::Sender::new(()),
            _tasks: tasks,
        })
    }

    /// What is small and waited for goes apart from what is large.
    fn lane(&self, request: &Request) -> &Lane {
        match request {
            Request::Range(range) if range.range.is_single() => &self.pipeline,
            Request::Range(_) | Request::Txn(_) | Request::LeaseLeases => &self.bulk,
            Request::LeaseTimeToLive(request) if request.keys => &self.bulk,
            _ => &self.control,
        }
    }
}

impl Client {
    fn new(url: &str, headers: MetadataMap) -> Result<Self, BadAddress> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| BadAddress(Box::new(error)))?;
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let client = StoreClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { client, headers })
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        request
    }
}

impl Store for Remote {
    fn member(&self) -> MemberId {
        self.member
    }

    fn submit(&self, writes: Vec<Write>) {
        let asked = writes.into_iter().map(|write| Asked { ask: Ask::Write(write.command), respond: write.respond });
        self.pipeline.ask(asked);
    }

    fn barrier(&self) -> Reply<Result<Barrier, Error>> {
        let (respond, answer) = oneshot::channel();
        self.control.barrier(respond);
        Reply::later(async move { answer.await.unwrap_or(Err(Error::NoLeader)) })
    }

    fn query(&self, request: Request, freshness: Freshness) -> Reply<Result<Answer, Error>> {
        let (respond, answer) = Responder::new();
        let lane = self.lane(&request);
        lane.ask([Asked { ask: Ask::Query(request, freshness), respond }]);
        Reply::later(answer)
    }

    fn watch(&self) -> WatchLink {
        link::open(self.watch.clone(), self.member, self.alive.subscribe())
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
