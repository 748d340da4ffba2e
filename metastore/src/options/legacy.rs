//! Names of the earlier product: read so that its flags and files still start this one.

use super::Effect::{Later, NoMeaning};
use super::{Effect, Family, OptionSpec, Section};
use crate::value::Kind;

const fn old(path: &'static str, name: &'static str, effect: Effect) -> OptionSpec {
    OptionSpec::new(Family::Product, Section::Legacy, name, Kind::Text).path(path).effect(effect)
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    old("http.address", "http-address", Later).doc("HOST:PORT of the REST API."),
    old("mysql.address", "mysql-address", Later).doc("HOST:PORT of the MySQL protocol."),
    old("mysql.username", "mysql-username", Later).doc("User of the MySQL protocol."),
    old("mysql.password", "mysql-password", Later).kind(Kind::Secret).doc("Password of that user."),
    old("grpc.max_recv_msg_size", "grpc-max-recv-msg-size", Later).doc("See max-request-bytes."),
    old("grpc.max_send_msg_size", "grpc-max-send-msg-size", Later).doc("Largest answer."),
    old("grpc.initial_window_size", "grpc-initial-window-size", Later).doc("Window of a stream."),
    old("grpc.initial_conn_window_size", "grpc-initial-conn-window-size", Later).doc("Window of a connection."),
    old("grpc.max_connection_idle", "grpc-max-connection-idle", Later).doc("Close a connection that idles this long."),
    old("grpc.enable_rate_limit", "grpc-enable-rate-limit", Later).doc("Limit the request rate."),
    old("grpc.rate_limit_qps", "grpc-rate-limit-qps", Later).doc("Requests per second."),
    old("grpc.rate_limit_burst", "grpc-rate-limit-burst", Later).doc("Requests at once."),
    old("limits.max_watch_count", "limits-max-watch-count", Later).doc("Watches at a time."),
    old("limits.max_lease_count", "limits-max-lease-count", Later).doc("Leases at a time."),
    old("limits.max_request_size", "limits-max-request-size", Later).doc("See max-request-bytes."),
    old("lease.check_interval", "lease-check-interval", NoMeaning).doc("Expiry needs no polling."),
    old("lease.default_ttl", "lease-default-ttl", NoMeaning).doc("Every lease names its own."),
    old("auth.token_ttl", "auth-token-lifetime", Later).doc("How long a user's token lives."),
    old("auth.token_cleanup_interval", "auth-token-cleanup-interval", Later)
        .doc("Time between removals of expired tokens."),
    old("auth.enable_audit", "auth-enable-audit", Later).doc("Log who did what."),
    old("maintenance.snapshot_chunk_size", "maintenance-snapshot-chunk-size", Later)
        .doc("Bytes per message of a snapshot."),
    old("reliability.enable_crc", "reliability-enable-crc", NoMeaning).doc("Always on."),
    old("reliability.enable_health_check", "reliability-enable-health-check", NoMeaning).doc("Always on."),
    old("reliability.enable_panic_recovery", "reliability-enable-panic-recovery", NoMeaning).doc("Always on."),
    old("performance.*", "performance", NoMeaning).doc("Data is always encoded compactly."),
    old("log.error_output_paths", "log-error-output-paths", NoMeaning).doc("See log-outputs."),
    old("raft.tick_interval", "raft-tick-interval", NoMeaning).doc("See heartbeat-interval."),
    old("raft.election_tick", "raft-election-tick", NoMeaning).doc("See election-timeout."),
    old("raft.heartbeat_tick", "raft-heartbeat-tick", NoMeaning).doc("See heartbeat-interval."),
    old("raft.max_size_per_msg", "raft-max-size-per-msg", Later).doc("Bytes per message."),
    old("raft.max_inflight_msgs", "raft-max-inflight-msgs", Later).doc("Messages in flight."),
    old("raft.max_uncommitted_entries_size", "raft-max-uncommitted-entries-size", Later)
        .doc("Bytes waiting for a quorum."),
    old("raft.check_quorum", "raft-check-quorum", NoMeaning).doc("Always on."),
    old("raft.batch.*", "raft-batch", NoMeaning).doc("Batches form by themselves."),
    old("raft.lease_read.*", "raft-lease-read", NoMeaning).doc("Reads never trust a clock."),
    old("rocksdb.*", "rocksdb-options", Later).doc("Tunes the RocksDB engine."),
    old("mvcc.retention.*", "mvcc-retention", Later).doc("History to keep."),
    old("mvcc.auto_compaction.enable", "mvcc-auto-compaction-enable", Later).doc("See auto-compaction-retention."),
    old("mvcc.auto_compaction.period", "mvcc-auto-compaction-period", Later).doc("See auto-compaction-retention."),
    old("", "enable-object-pool", NoMeaning).kind(Kind::Bool).default("false").doc("There is nothing to pool."),
    old("", "pool-size", NoMeaning).doc("There is nothing to pool."),
];
