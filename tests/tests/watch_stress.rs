//! Every watcher is sent exactly what happened, whatever becomes of links and clients.
//!
//! `METASTORE_SEED=n` runs one seed alone.

use tests::simulation::seeds::Seeds;
use tests::watch_stress::{self, Seen};

const SEEDS: Seeds = Seeds { everyday: 250, long: 250 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_gets_exactly_what_happened() {
    // Worlds wait more than they work: many share the two threads.
    let worlds: Vec<_> = SEEDS.range().map(|seed| (seed, tokio::spawn(watch_stress::run(seed)))).collect();
    let mut seen = Seen::default();
    for (seed, world) in worlds {
        seen.add(&world.await.unwrap_or_else(|_| panic!("seed {seed} failed: METASTORE_SEED={seed} runs it alone")));
    }
    if Seeds::is_single() {
        return;
    }
    // A run in which nothing interesting happened would prove nothing.
    assert!(seen.events > 1000 && seen.progress > 50 && seen.compacted > 20 && seen.late > 100, "{seen:?}");
    assert!(seen.lagging_feeds > 10 && seen.slow_watches > 10, "{seen:?}");
    assert!(seen.covered > 1000 && seen.uncovered > 30, "{seen:?}");
}
