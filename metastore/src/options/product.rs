//! This project's own options.

use super::Effect::{Later, RefusedCluster};
use super::{Family, OptionSpec, Section};
use crate::role::{CLIENTS, Role, STORAGE};
use crate::value::Kind;

const fn own(section: Section, name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Product, section, name, kind).default(default)
}

const fn storage(section: Section, name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    own(section, name, kind, default).roles(STORAGE)
}

const fn clients(section: Section, name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    own(section, name, kind, default).roles(CLIENTS)
}

/// For the commands that ask a running storage node.
const fn command(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    own(Section::Program, name, kind, default).roles(&[Role::StoreNode])
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    own(Section::Program, "help", Kind::Bool, "false").aliases(&["h"]).doc("Print this text."),
    own(Section::Program, "version", Kind::Bool, "false").doc("Print the version."),
    own(Section::Program, "print-config", Kind::Bool, "false")
        .doc("Print every option's value and where it comes from."),
    own(Section::Program, "config", Kind::Text, "")
        .doc("File of this project's format; flags and environment are stronger."),
    // One of etcd's, but like the others of this section no setting.
    OptionSpec::new(Family::Etcd, Section::Program, "config-file", Kind::Text)
        .doc("File of etcd's format; flags and environment are then ignored."),
    command("endpoint", Kind::Urls, "http://localhost:2380").doc("Peer URL of the node that `status` and `drain` ask."),
    command("output", Kind::OneOf(&["table", "json"]), "table").doc("How `status` and `drain` answer."),
    clients(Section::Program, "welcome", Kind::Bool, "false")
        .doc("Greet with ports and examples, also when stdout is no terminal."),
    storage(Section::Member, "storage", Kind::OneOf(&["memory", "rocksdb"]), "memory")
        .path("storage")
        .doc("Engine that holds the data: memory, or rocksdb for more than fits there."),
    storage(Section::Member, "rocksdb-cache-mb", Kind::Unsigned, "0")
        .path("rocksdb_cache_mb")
        .doc("Memory for RocksDB's cache and unflushed writes; 0 is an eighth of the machine's or cgroup's."),
    clients(Section::Member, "grpc-addr", Kind::Address, "")
        .path("etcd.address")
        .old_path("listen_address")
        .doc("HOST:PORT to serve clients at, instead of listen-client-urls."),
    clients(Section::Member, "grpc-port", Kind::Port, "")
        .path("etcd.port")
        .doc("Port to serve clients at, on loopback unless grpc-addr says otherwise."),
    own(Section::Member, "shutdown-timeout", Kind::Duration, "10s")
        .path("reliability.shutdown_timeout")
        .doc("Time a shutdown may take before the process ends anyway."),
    own(Section::Member, "drain-timeout", Kind::Duration, "5s")
        .path("reliability.drain_timeout")
        .doc("Time open requests get to finish in a shutdown."),
    clients(Section::Member, "grpc-max-connection-age", Kind::Duration, "0s")
        .path("grpc.max_connection_age")
        .doc("Age at which a client connection is asked to move (GOAWAY); 0s never."),
    clients(Section::Member, "grpc-max-connection-age-grace", Kind::Duration, "0s")
        .path("grpc.max_connection_age_grace")
        .doc("Time the streams of such a connection get to end; 0s for ever."),
    own(Section::Clustering, "storenodes", Kind::Urls, "http://localhost:2380")
        .path("storenodes")
        .roles(&[Role::Gateway])
        .doc("Peer or store URLs of some storage nodes; the other members are found through them."),
    own(Section::Member, "listen-store-urls", Kind::Urls, "")
        .path("listen_store_urls")
        .roles(&[Role::StoreNode])
        .doc("Where gateways alone are served, instead of at the peer URLs; usually port 2390."),
    storage(Section::Clustering, "member-id", Kind::Unsigned, "1")
        .path("member_id")
        .doc("Which of the URLs of --cluster is this member's, counted from 1."),
    storage(Section::Clustering, "cluster", Kind::Urls, "")
        .path("cluster")
        .doc("Peer URLs of all members, the same list for each; instead of initial-cluster."),
    storage(Section::Clustering, "join", Kind::Bool, "false")
        .path("join")
        .effect(RefusedCluster)
        .doc("Join a cluster that runs already."),
    clients(Section::Member, "port", Kind::Port, "9121").effect(Later).doc("Port of the REST API."),
    clients(Section::Member, "max-connections", Kind::Unsigned, "10000")
        .path("limits.max_connections")
        .effect(Later)
        .doc("Client connections at a time."),
    clients(Section::Member, "max-requests", Kind::Unsigned, "5000")
        .path("limits.max_requests")
        .effect(Later)
        .doc("Client requests at a time."),
    own(Section::Member, "max-memory-mb", Kind::Unsigned, "2048")
        .path("limits.max_memory_mb")
        .effect(Later)
        .doc("Memory above which requests are refused."),
    own(Section::Monitoring, "enable-metrics", Kind::Bool, "true")
        .path("monitoring.enable_prometheus")
        .effect(Later)
        .doc("Serve metrics on a port of their own."),
    own(Section::Monitoring, "metrics-port", Kind::Port, "9090")
        .path("monitoring.prometheus_port")
        .effect(Later)
        .doc("That port."),
];
