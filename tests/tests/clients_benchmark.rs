//! etcd's load tool runs every workload that needs only KV, Watch and Lease, without an error.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tests::binary::amount;
use tests::command;
use tests::deployment::{Deployment, Form};
use tests::requirement;

const WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn every_workload_ends_without_an_error() {
    let Some(benchmark) = requirement::benchmark() else { return };
    let server = Deployment::start(Form::of_this_run(), &[]).await.unwrap();
    let total = amount(500, 20_000);
    let (put, few) = (format!("--put-total={}", total / 5), format!("--watchers={}", total / 5));
    let total = format!("--total={total}");
    let workloads: [&[&str]; 12] = [
        &["put", &total, "--key-space-size=1000", "--sequential-keys"],
        &["put", &total, "--val-size=4096", "--compact-interval=100ms", "--compact-index-delta=50"],
        &["range", "key", &total],
        &["range", "!", "~", &total, "--limit=10", "--consistency=s"],
        &["range", "!", "~", &total, "--count-only"],
        &["txn-put", &total, "--txn-ops=4", "--key-space-size=100"],
        &["txn-mixed", "key", &total, "--key-space-size=100"],
        &["stm", &total, "--keys=10", "--isolation=ss"],
        &["watch", &put, "--streams=4", "--watch-per-stream=10", "--watched-key-total=5", "--put-rate=10000"],
        &["watch-latency", &put, "--put-rate=1000"],
        &["watch-get", &few, "--streams=4"],
        &["lease-keepalive", &total],
    ];
    let endpoint = format!("--endpoints={}", server.client());
    for workload in workloads {
        let arguments = [&[endpoint.as_str(), "--conns=4", "--clients=8"], workload].concat();
        let output = command::run(&benchmark, &arguments, "", WITHIN).unwrap();
        assert_eq!(output.code, Some(0), "{workload:?}: {output:?}");
        assert!(!output.stdout.contains("Error distribution"), "{workload:?}: {output:?}");
        // At its end the tool cancels calls of its own.
        let errors = output.stderr.lines().find(|line| line.contains("rror") && !line.contains("context canceled"));
        assert_eq!(errors, None, "{workload:?}");
    }
}
