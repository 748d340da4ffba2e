//! The start: every check that can refuse it, cheapest first, then the parts.
//!
//! Invariant: a refused start leaves nothing running and founds no member.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::ports::{self, Listen, PortError};
use crate::role::Role;
use crate::serve::{self, Serving, Sockets};
use crate::storage;

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
    /// A member without data cannot tell whether it had some.
    #[error(
        "this member has no data, and the one at {0}, which may know whether it had, accepts connections without an \
         answer: see to that member first, or stop it"
    )]
    SilentFounder(String),
    /// The node stopped before it served.
    #[error("the storage node stopped before the cluster had a leader; the log above says why")]
    Stopped,
}

/// A process's parts, running.
pub struct Running {
    serving: Serving,
    client_addresses: Vec<SocketAddr>,
    data_dir: Option<DataDir>,
}

/// Checks everything that can refuse a start, and starts.
///
/// # Errors
/// The first check that fails.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let Config { listen, listen_gateways, listen_operations, .. } = &config;
    // Ports first: a refused start must not have founded a member.
    let mut warnings = config.warnings.clone();
    let mut bind = |listen: &[Listen]| {
        let bound = ports::bind(listen, config.sockets)?;
        warnings.extend(bound.warnings);
        Ok::<_, PortError>(bound.listeners)
    };
    let (clients, gateways, operations) = (bind(listen)?, bind(listen_gateways)?, bind(listen_operations)?);
    let (asked, others): (Vec<_>, Vec<_>) = config.listen_peers.iter().copied().partition(|listen| listen.asked);
    let mut peers = bind(&asked)?;
    let data_dir = match config.role.has_storage() {
        true => Some(DataDir::open(&config.data_dir, &config.bootstrap, config.engine.name())?),
        false => None,
    };
    if data_dir.as_ref().is_some_and(|data_dir| data_dir.myself().first_members.len() > 1) {
        // Nobody asked for a port, but this member was founded with others.
        peers.extend(bind(&others)?);
    }
    warnings.extend(data_dir.iter().flat_map(DataDir::warnings).cloned());
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if config.role == Role::MetaStore {
        warn_of_plain_peers(&peers, config.bootstrap.token_given);
    }
    let client_addresses = clients.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    log_start(&config, data_dir.as_ref());
    let store = data_dir.as_ref().map(DataDir::store);
    let who = data_dir.as_ref().map(DataDir::myself).zip(store.as_deref());
    let sockets = Sockets { clients, storage: storage::Sockets { peers, gateways }, operations };
    let serving = serve::serve(&config, who, sockets).await?;
    Ok(Running { serving, client_addresses, data_dir })
}

fn log_start(config: &Config, data_dir: Option<&DataDir>) {
    let Some(data_dir) = data_dir else {
        return tracing::info!(storenodes = config.storenodes.join(","), "starting gateway");
    };
    let myself = data_dir.myself();
    tracing::info!(
        name = myself.name,
        "local-member-id" = %myself.member_id,
        "cluster-id" = %myself.cluster_id,
        "data-dir" = %config.data_dir.display(),
        "starting member"
    );
}

/// As etcd, members speak without encryption unless told otherwise; here that is said aloud.
fn warn_of_plain_peers(listeners: &[TcpListener], token_given: bool) {
    let mut addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok());
    if let Some(address) = addresses.find(|address| !address.ip().is_loopback()) {
        let open =
            if token_given { "" } else { ", and give it an --initial-cluster-token: whoever reaches it can write" };
        tracing::warn!(%address, "members are served without encryption: keep them on a network you trust{open}");
    }
}

impl Running {
    /// Where clients are served, the main address first.
    pub fn client_addresses(&self) -> &[SocketAddr] {
        &self.client_addresses
    }

    /// The storage node's own directory, if there is one.
    pub fn store(&self) -> Option<PathBuf> {
        self.data_dir.as_ref().map(DataDir::store)
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
