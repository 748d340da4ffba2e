//! etcd's gRPC clients on one connection, with limits that never stand in a test's way.

use std::net::SocketAddr;

use proto::etcdserverpb::cluster_client::ClusterClient;
use proto::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::lease_client::LeaseClient;
use proto::etcdserverpb::maintenance_client::MaintenanceClient;
use proto::etcdserverpb::watch_client::WatchClient;
use tonic::transport::{Channel, Endpoint, Error};

/// h2's budget for small frames grows with the connection's window: with the default, a client that receives some
/// thousand small messages at once ends the connection itself.
const CONNECTION_WINDOW: u32 = 64 << 20;
const STREAM_WINDOW: u32 = 4 << 20;

/// A client of every service that the suites use.
#[derive(Clone)]
pub struct Client {
    /// Keys.
    pub kv: KvClient<Channel>,
    /// Watches.
    pub watch: WatchClient<Channel>,
    /// Leases.
    pub lease: LeaseClient<Channel>,
    /// Members.
    pub cluster: ClusterClient<Channel>,
    /// Status.
    pub maintenance: MaintenanceClient<Channel>,
    /// The connection below them.
    pub channel: Channel,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .tcp_nodelay(true)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW);
        Ok(Self::over(endpoint.connect().await?))
    }

    /// Clients over a given connection.
    #[must_use]
    pub fn over(channel: Channel) -> Self {
        Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            watch: WatchClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            lease: LeaseClient::new(channel.clone()),
            cluster: ClusterClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel.clone()),
            channel,
        }
    }
}
