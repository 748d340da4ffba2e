//! This member: its data, its ports, its limits (etcd's section "Member").

use super::Effect::{Later, NoMeaning};
use super::{Family, OptionSpec, Section};
use crate::value::Kind;

const fn member(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Member, name, kind).default(default)
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    member("name", Kind::Text, "default").path("name").doc("Name of this member, for people."),
    member("data-dir", Kind::Text, "")
        .path("data_dir")
        .doc("Where the data lies; NAME.etcd in the current directory when empty."),
    member("wal-dir", Kind::Text, "").effect(Later).doc("A directory of its own for the log."),
    member("snapshot-count", Kind::Unsigned, "10000").effect(Later).doc("Committed entries that trigger a checkpoint."),
    member("heartbeat-interval", Kind::Unsigned, "100").doc("Milliseconds between heartbeats."),
    member("election-timeout", Kind::Unsigned, "1000")
        .doc("Milliseconds without a leader before an election; at least 5 heartbeats."),
    member("initial-election-tick-advance", Kind::Bool, "true")
        .effect(Later)
        .doc("Shorten the wait for the first election after a start."),
    member("listen-peer-urls", Kind::Urls, "http://localhost:2380")
        .doc("Where other members reach this one; a cluster of one listens there only if told to."),
    member("listen-client-urls", Kind::Urls, "http://localhost:2379")
        .doc("Where clients are served: gRPC, JSON and HTTP on one port."),
    member("listen-client-http-urls", Kind::Urls, "")
        .effect(Later)
        .doc("Where to serve HTTP instead of on the client URLs."),
    member("max-snapshots", Kind::Unsigned, "5").effect(Later).doc("Checkpoints to keep."),
    member("max-wals", Kind::Unsigned, "5").effect(Later).doc("Log files to keep."),
    member("memory-mlock", Kind::Bool, "false").effect(Later).doc("Keep all memory resident."),
    member("quota-backend-bytes", Kind::Signed, "0")
        .effect(Later)
        .doc("Size of the store that raises the NOSPACE alarm; 0 is 2 GiB."),
    member("backend-bbolt-freelist-type", Kind::Text, "map")
        .effect(NoMeaning)
        .doc("Tunes bbolt, which is not used here."),
    member("backend-batch-interval", Kind::Duration, "0s")
        .effect(NoMeaning)
        .doc("Tunes bbolt, which is not used here."),
    member("backend-batch-limit", Kind::Signed, "0").effect(NoMeaning).doc("Tunes bbolt, which is not used here."),
    member("max-txn-ops", Kind::Unsigned, "128")
        .doc("Compares, and operations per branch, that a transaction may have."),
    member("max-request-bytes", Kind::Unsigned, "1572864").doc("Largest request of a client."),
    member("max-concurrent-streams", Kind::Unsigned32, "4294967295")
        .path("grpc.max_concurrent_streams")
        .doc("Streams one connection may have open at a time."),
    member("grpc-keepalive-min-time", Kind::Duration, "5s")
        .effect(Later)
        .doc("Pings that follow each other faster than this end the connection."),
    member("grpc-keepalive-interval", Kind::Duration, "2h")
        .path("grpc.keepalive_time")
        .doc("Idle time after which the server pings a client; 0s never."),
    member("grpc-keepalive-timeout", Kind::Duration, "20s")
        .path("grpc.keepalive_timeout")
        .doc("How long a ping may stay unanswered."),
    member("socket-reuse-port", Kind::Bool, "false")
        .etcd_path("socket-options.reuse-port")
        .doc("Let several processes listen on one port (SO_REUSEPORT)."),
    member("socket-reuse-address", Kind::Bool, "false")
        .etcd_path("socket-options.reuse-address")
        .doc("Listen on an address whose old connections linger (SO_REUSEADDR)."),
    member("enable-grpc-gateway", Kind::Bool, "true").doc("Serve the API as JSON below /v3/."),
    member("raft-read-timeout", Kind::Duration, "5s")
        .effect(Later)
        .doc("Read timeout of a connection between members."),
    member("raft-write-timeout", Kind::Duration, "5s")
        .effect(Later)
        .doc("Write timeout of a connection between members."),
    member("feature-gates", Kind::FeatureGates, "")
        .effect(Later)
        .doc("etcd's feature gates, as NAME=true|false pairs."),
];
