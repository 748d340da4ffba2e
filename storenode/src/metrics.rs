//! What a storage node tells Prometheus, under etcd's own names where etcd has the same thing.

use std::time::Duration;

use internal_proto::LogIndex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use crate::state::Reader;

/// Counted where it happens.
pub(crate) struct Metrics {
    fsync: Histogram,
    has_leader: IntGauge,
    is_leader: IntGauge,
    leader_changes: IntCounter,
    applied: IntGauge,
    pending: IntGauge,
}

impl Metrics {
    /// Registers a node's metrics.
    ///
    /// # Errors
    /// When another node of this process has registered the same names.
    pub(crate) fn new(registry: &Registry, reader: Reader) -> Result<Self, prometheus::Error> {
        /// From 100 µs, doubling: a fast disk takes one or two of the first, a bad one the last.
        const FSYNC_BUCKETS: (f64, f64, usize) = (0.000_1, 2.0, 16);
        let (start, factor, count) = FSYNC_BUCKETS;
        let buckets = prometheus::exponential_buckets(start, factor, count)?;
        let fsync = HistogramOpts::new(
            "etcd_disk_wal_fsync_duration_seconds",
            "The duration of writing and syncing one group of log records.",
        );
        let metrics = Self {
            fsync: Histogram::with_opts(fsync.buckets(buckets))?,
            has_leader: gauge("etcd_server_has_leader", "Whether this member knows a leader.")?,
            is_leader: gauge("etcd_server_is_leader", "Whether this member leads.")?,
            leader_changes: IntCounter::new(
                "etcd_server_leader_changes_seen_total",
                "How often this member saw the leader change.",
            )?,
            applied: gauge("etcd_server_proposals_applied_total", "The last log entry applied.")?,
            pending: gauge("etcd_server_proposals_pending", "Entries proposed here and not yet applied.")?,
        };
        registry.register(Box::new(metrics.fsync.clone()))?;
        registry.register(Box::new(metrics.has_leader.clone()))?;
        registry.register(Box::new(metrics.is_leader.clone()))?;
        registry.register(Box::new(metrics.leader_changes.clone()))?;
        registry.register(Box::new(metrics.applied.clone()))?;
        registry.register(Box::new(metrics.pending.clone()))?;
        registry.register(Box::new(StateMetrics::new(reader)?))?;
        Ok(metrics)
    }

    /// A group became durable.
    pub(crate) fn fsync(&self, duration: Duration) {
        self.fsync.observe(duration.as_secs_f64());
    }

    /// This node's part changed.
    pub(crate) fn role(&self, leads: bool, has_leader: bool) {
        if has_leader && self.has_leader.get() == 0 {
            self.leader_changes.inc();
        }
        self.is_leader.set(i64::from(leads));
        self.has_leader.set(i64::from(has_leader));
    }

    /// Entries were applied; so many of this node's own proposals were not yet.
    pub(crate) fn applied(&self, index: LogIndex, pending: usize) {
        self.applied.set(signed(index.0));
        self.pending.set(signed(pending as u64));
    }
}

/// Read off the state when Prometheus asks.
struct StateMetrics {
    reader: Reader,
    revision: IntGauge,
    compacted: IntGauge,
    leases: IntGauge,
    size: IntGauge,
    in_use: IntGauge,
}

impl StateMetrics {
    fn new(reader: Reader) -> Result<Self, prometheus::Error> {
        Ok(Self {
            reader,
            revision: gauge("etcd_debugging_mvcc_current_revision", "The store's revision.")?,
            compacted: gauge("etcd_debugging_mvcc_compact_revision", "The revision below which history is gone.")?,
            leases: gauge("metastore_leases", "Leases that have not ended.")?,
            size: gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes that the store occupies.")?,
            in_use: gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of the store that hold data.")?,
        })
    }

    fn all(&self) -> [&IntGauge; 5] {
        [&self.revision, &self.compacted, &self.leases, &self.size, &self.in_use]
    }
}

impl Collector for StateMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sizes = self.reader.sizes();
        self.revision.set(self.reader.revision().0);
        self.compacted.set(self.reader.compacted().0);
        self.leases.set(i64::try_from(self.reader.leases().len()).unwrap_or(i64::MAX));
        self.size.set(signed(sizes.total));
        self.in_use.set(signed(sizes.in_use));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

fn gauge(name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    IntGauge::new(name, help)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
