//! What one process needs to start: settings, checked against each other and turned into types.
//!
//! ```text
//! Settings ─► Config ─┬► logging, ports, data directory      (this crate)
//!                     ├► gateway::config::Config
//!                     └► storenode::config::Config           once the data directory says who we are
//! ```

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::config::MIN_PROGRESS_INTERVAL;
use internal_proto::{ClusterId, Member, MemberId};
use storenode::config::{self as node, Engine};

use crate::bootstrap::{Bootstrap, BootstrapError};
use crate::listeners::{self, ListenerError};
use crate::logging;
use crate::ports::{Listen, SocketOptions};
use crate::role::Role;
use crate::settings::Settings;
use crate::value;

/// Above this etcd warns that a request is too large to be healthy.
const RECOMMENDED_MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

/// What one process needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which program it is; what only others have keeps its default here.
    pub role: Role,
    /// The cluster, as far as flags describe it.
    pub bootstrap: Bootstrap,
    /// The directory that belongs to this member alone.
    pub data_dir: PathBuf,
    /// Which engine holds the data.
    pub engine: Engine,
    /// How large the store is meant to become at most, in bytes; 0 for no limit.
    pub quota_bytes: u64,
    /// How often a leader says that it lives.
    pub heartbeat_interval: Duration,
    /// How long a follower waits for a sign of the leader.
    pub election_timeout: Duration,
    /// Whether a candidate first asks whether it could win.
    pub pre_vote: bool,
    /// Where to serve clients.
    pub listen: Vec<Listen>,
    /// Where to serve other members.
    pub listen_peers: Vec<Listen>,
    /// Where to serve gateways alone.
    pub listen_gateways: Vec<Listen>,
    /// Where to serve operators.
    pub listen_operations: Vec<Listen>,
    /// Where gateways are told to find this storage node, if not at its peer URLs.
    pub store_urls: Vec<String>,
    /// Where a gateway finds some storage nodes.
    pub storenodes: Vec<String>,
    /// Options of the listening sockets.
    pub sockets: SocketOptions,
    /// Where clients are told to find this member.
    pub client_urls: Vec<String>,
    /// What the gateway is told.
    pub gateway: gateway::config::Config,
    /// Where log lines go and how they look.
    pub logging: logging::Config,
    /// Time a shutdown may take before the process ends anyway.
    pub shutdown_timeout: Duration,
    /// Whether to greet although stdout is no terminal.
    pub welcome: bool,
    /// What the operator should hear once the log is open.
    pub warnings: Vec<String>,
}

/// Why settings cannot work together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The cluster.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The listeners.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// Whoever reaches a storage node could write.
    #[error(
        "storenode would serve everybody who reaches {0}, as it has no cluster token: give all storage nodes and \
         gateways the same --initial-cluster-token, or listen on 127.0.0.1"
    )]
    NoToken(SocketAddr),
    /// The gateway's rules.
    #[error(transparent)]
    Gateway(#[from] gateway::config::ConfigError),
    /// The storage node's rules.
    #[error(transparent)]
    StoreNode(#[from] node::ConfigError),
}

impl Config {
    /// Turns checked settings into a configuration. `default_host` is the address of the default
    /// route, when there is one.
    ///
    /// # Errors
    /// The first rule between settings that is broken.
    pub fn from_settings(settings: &Settings, default_host: Option<IpAddr>) -> Result<Self, ConfigError> {
        let heartbeat_interval = Duration::from_millis(settings.unsigned("heartbeat-interval"));
        let election_timeout = Duration::from_millis(settings.unsigned("election-timeout"));
        let role = settings.role();
        if role.has_storage() {
            node::check_timing(heartbeat_interval, election_timeout)?;
        }
        let (gateway, mut warnings) = gateway_config(settings);
        gateway.validate()?;
        let bootstrap = Bootstrap::from_settings(settings, default_host)?;
        let listen_peers = listeners::peers(settings, &bootstrap)?;
        listeners::check_hosts("initial-advertise-peer-urls", &bootstrap.peer_urls)?;
        let (listen_gateways, store_urls) = listeners::gateways(settings, &bootstrap)?;
        let (listen, client_urls) = match role {
            Role::MetaStore | Role::Gateway => listeners::clients(settings, default_host)?,
            Role::StoreNode => (Vec::new(), listeners::advertised(settings)?),
        };
        if role == Role::StoreNode {
            check_token(&bootstrap, listen_peers.iter().chain(&listen_gateways))?;
        }
        warnings.splice(0..0, settings.warnings.iter().cloned());
        Ok(Self {
            role,
            data_dir: named_data_dir(settings.text("data-dir"), &bootstrap.name),
            bootstrap,
            engine: engine(settings),
            quota_bytes: quota(settings.text("quota-backend-bytes")),
            heartbeat_interval,
            election_timeout,
            pre_vote: settings.boolean("pre-vote"),
            listen,
            listen_peers,
            listen_gateways,
            listen_operations: listeners::operations(settings)?,
            store_urls,
            storenodes: listeners::storenodes(settings)?,
            sockets: SocketOptions { reuse_port: settings.boolean("socket-reuse-port") },
            client_urls,
            gateway,
            logging: logging::Config {
                level: settings.text("log-level").to_owned(),
                json: settings.text("log-format") == "json",
                outputs: settings.list("log-outputs"),
            },
            shutdown_timeout: settings.duration("shutdown-timeout"),
            welcome: settings.boolean("welcome"),
            warnings,
        })
    }

    /// What the storage node is told, once it is known who this member is.
    pub fn storenode(&self, who: &Myself, store: &Path) -> node::Config {
        node::Config {
            data_dir: store.to_owned(),
            cluster_id: who.cluster_id,
            member_id: who.member_id,
            name: who.name.clone(),
            client_urls: self.client_urls.clone(),
            members: who.first_members.clone(),
            joins: self.bootstrap.joins,
            engine: self.engine,
            quota_bytes: self.quota_bytes,
            heartbeat_interval: self.heartbeat_interval,
            election_timeout: self.election_timeout,
            pre_vote: self.pre_vote,
        }
    }
}

/// Who this member is, by its data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Myself {
    /// The cluster it belongs to.
    pub cluster_id: ClusterId,
    /// Its id.
    pub member_id: MemberId,
    /// Its name.
    pub name: String,
    /// What all of the cluster know.
    pub token: String,
    /// The members that founded the cluster, this one among them.
    pub first_members: Vec<Member>,
}

/// Without a token everybody may talk to a storage node, so nobody else than this machine may reach it.
fn check_token<'a>(bootstrap: &Bootstrap, mut listen: impl Iterator<Item = &'a Listen>) -> Result<(), ConfigError> {
    if bootstrap.token_given && !bootstrap.token.is_empty() {
        return Ok(());
    }
    match listen.find(|listen| !listen.address.ip().is_loopback()) {
        Some(listen) => Err(ConfigError::NoToken(listen.address)),
        None => Ok(()),
    }
}

/// The gateway's part, and what etcd warns about when it starts with such values.
fn gateway_config(settings: &Settings) -> (gateway::config::Config, Vec<String>) {
    let mut warnings = Vec::new();
    let max_request_bytes = count(settings, "max-request-bytes");
    if max_request_bytes > RECOMMENDED_MAX_REQUEST_BYTES {
        warnings.push(format!("requests of up to {max_request_bytes} bytes are allowed, 10 MiB is recommended"));
    }
    let progress = settings.nonzero_duration("watch-progress-notify-interval");
    if progress < MIN_PROGRESS_INTERVAL {
        warnings.push(format!("watch-progress-notify-interval is raised to its minimum, {MIN_PROGRESS_INTERVAL:?}"));
    }
    let streams = u32::try_from(settings.unsigned("max-concurrent-streams")).unwrap_or(u32::MAX);
    let config = gateway::config::Config {
        max_request_bytes,
        max_txn_ops: count(settings, "max-txn-ops"),
        // 0 is no limit, as in etcd.
        max_concurrent_streams: if streams == 0 { u32::MAX } else { streams },
        keepalive_interval: some_duration(settings, "grpc-keepalive-interval"),
        keepalive_timeout: settings.nonzero_duration("grpc-keepalive-timeout"),
        watch_progress_interval: progress.max(MIN_PROGRESS_INTERVAL),
        slow_request: settings.nonzero_duration("warning-unary-request-duration"),
        json_gateway: settings.boolean("enable-grpc-gateway"),
        drain_timeout: settings.duration("drain-timeout"),
        connection_age: some_duration(settings, "grpc-max-connection-age"),
        connection_age_grace: some_duration(settings, "grpc-max-connection-age-grace"),
    };
    (config, warnings)
}

fn engine(settings: &Settings) -> Engine {
    match settings.text("storage") {
        "rocksdb" => {
            let megabytes = settings.unsigned("rocksdb-cache-mb");
            Engine::RocksDb { cache_bytes: (megabytes > 0).then(|| megabytes.saturating_mul(1 << 20)) }
        }
        _ => Engine::Memory,
    }
}

/// A duration that 0 turns off.
fn some_duration(settings: &Settings, name: &str) -> Option<Duration> {
    Some(settings.duration(name)).filter(|duration| !duration.is_zero())
}

/// etcd's rule: 0 asks for the default, a negative number for no limit.
fn quota(bytes: &str) -> u64 {
    /// etcd's default quota.
    const DEFAULT: u64 = 2 << 30;
    match value::signed(bytes) {
        Ok(0) | Err(_) => DEFAULT,
        Ok(bytes) => u64::try_from(bytes).unwrap_or(0),
    }
}

fn count(settings: &Settings, name: &str) -> usize {
    usize::try_from(settings.unsigned(name)).unwrap_or(usize::MAX)
}

/// Where the data of a member of these settings lies.
pub(crate) fn data_dir(settings: &Settings) -> PathBuf {
    named_data_dir(settings.text("data-dir"), settings.text("name"))
}

/// etcd puts the data into a directory named after the member when nobody says where.
fn named_data_dir(given: &str, name: &str) -> PathBuf {
    if given.is_empty() { PathBuf::from(format!("{name}.etcd")) } else { PathBuf::from(given) }
}
