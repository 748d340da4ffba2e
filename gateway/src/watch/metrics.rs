//! What the watch hub tells Prometheus, under etcd's own names where etcd has the same thing.

use std::sync::{Arc, Weak};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};

use super::hub::Hub;

/// Read off the hub when Prometheus asks; zero once the hub is gone.
struct WatchMetrics {
    hub: Weak<Hub>,
    streams: IntGauge,
    watches: IntGauge,
    slow_watches: IntGauge,
    feeds: IntGauge,
}

/// Registers a hub's metrics.
///
/// # Errors
/// When another hub of this process has registered the same names.
pub fn register(registry: &Registry, hub: &Arc<Hub>) -> Result<(), prometheus::Error> {
    registry.register(Box::new(WatchMetrics {
        hub: Arc::downgrade(hub),
        streams: IntGauge::new("etcd_debugging_mvcc_watch_stream_total", "Watch streams of clients.")?,
        watches: IntGauge::new("etcd_debugging_mvcc_watcher_total", "Watches of all streams.")?,
        slow_watches: IntGauge::new(
            "etcd_debugging_mvcc_slow_watcher_total",
            "Watches that are behind and read history.",
        )?,
        feeds: IntGauge::new("metastore_watch_feeds", "Distinct feeds that the watches share.")?,
    }))
}

impl WatchMetrics {
    fn all(&self) -> [&IntGauge; 4] {
        [&self.streams, &self.watches, &self.slow_watches, &self.feeds]
    }
}

impl Collector for WatchMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counts = self.hub.upgrade().map(|hub| hub.counts()).unwrap_or_default();
        let counts = [counts.streams, counts.watches, counts.slow_watches, counts.feeds];
        for (gauge, count) in self.all().into_iter().zip(counts) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
