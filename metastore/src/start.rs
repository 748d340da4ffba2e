//! The start: every check that can refuse it, cheapest first, then the parts.
//!
//! Invariant: a refused start leaves nothing running and founds no member.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::ports::{self, PortError};
use crate::serve::{self, Serving, Sockets};

/// Why a start is refused; each is one sentence that names the thing and the way out.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The ports.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The storage node.
    #[error(transparent)]
    Node(#[from] storenode::StartError),
    /// Metrics that are registered twice: two members in one process share a registry.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A socket that was bound cannot be served.
    #[error("a listening socket cannot be used: {0}")]
    Socket(#[from] std::io::Error),
    /// The node stopped before it served.
    #[error("the storage node stopped before the cluster had a leader; the log above says why")]
    Stopped,
}

/// A process's parts, running.
pub struct Running {
    serving: Serving,
    client_addresses: Vec<SocketAddr>,
    data_dir: DataDir,
}

/// Checks everything that can refuse a start, and starts.
///
/// # Errors
/// The first check that fails.
pub async fn start(config: Config) -> Result<Running, StartError> {
    // Ports first: a refused start must not have founded a member.
    let bound = ports::bind(&config.listen, config.sockets)?;
    let (asked, others): (Vec<_>, Vec<_>) = config.listen_peers.iter().copied().partition(|listen| listen.asked);
    let mut members = ports::bind(&asked, config.sockets)?.listeners;
    let data_dir = DataDir::open(&config.data_dir, &config.bootstrap, config.engine.name())?;
    if data_dir.myself().first_members.len() > 1 {
        // Nobody asked for a port, but this member was founded with others.
        members.extend(ports::bind(&others, config.sockets)?.listeners);
        warn_of_plain_peers(&members);
    }
    for warning in config.warnings.iter().chain(data_dir.warnings()).chain(&bound.warnings) {
        tracing::warn!("{warning}");
    }
    let client_addresses = bound.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let myself = data_dir.myself();
    tracing::info!(
        name = myself.name,
        "local-member-id" = %myself.member_id,
        "cluster-id" = %myself.cluster_id,
        "data-dir" = %config.data_dir.display(),
        "starting member"
    );
    let storenode = config.storenode(myself, &data_dir.store());
    let sockets = Sockets { clients: bound.listeners, members };
    let serving = serve::serve(storenode, data_dir.myself(), config.gateway, sockets).await?;
    Ok(Running { serving, client_addresses, data_dir })
}

/// As etcd, members speak without encryption unless told otherwise; here that is said aloud.
fn warn_of_plain_peers(listeners: &[TcpListener]) {
    let mut addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok());
    if let Some(address) = addresses.find(|address| !address.ip().is_loopback()) {
        tracing::warn!(%address, "other members are served without encryption: keep them on a network you trust");
    }
}

impl Running {
    /// Where clients are served, the main address first.
    pub fn client_addresses(&self) -> &[SocketAddr] {
        &self.client_addresses
    }

    /// The storage node's own directory.
    pub fn store(&self) -> PathBuf {
        self.data_dir.store()
    }

    /// Waits until a part cannot go on, and returns why.
    pub async fn failed(&mut self) -> String {
        self.serving.failed().await
    }

    /// Stops accepting, drains, closes; the data directory is free for the next process after.
    pub async fn stop(self) {
        self.serving.stop().await;
        drop(self.data_dir);
    }
}
