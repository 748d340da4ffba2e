//! Testers are tested: each fault that is planted in the product is found by the suite that is there for it.
//!
//! ```text
//!   Fault::planted_in(|| one seed of a suite)  over and over ─► the suite objects       found, after so many runs
//!                                                            └► budget of the suite over: the suite is too weak
//! ```
//!
//! Invariants: a budget is at most what the suite runs every day; whatever notices first will do, be it a comparison, a
//! node that does not start or one that panics.

use std::any::Any;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use internal_proto::Fault;
use tests::simulation::cluster_faults::ClusterRun;
use tests::simulation::power_loss::PowerLossRun;
use tests::watch_stress;

/// The seeds of a suite in `make test`.
const POWER_LOSS_SEEDS: u64 = 60;
const CLUSTER_SEEDS: u64 = 2 * 60;
const SHORT_LOG_SEEDS: u64 = 60;
const WATCH_SEEDS: u64 = 250;

#[test]
fn ack_before_sync() {
    find(Fault::AckBeforeSync, CLUSTER_SEEDS, cluster);
}

#[test]
fn sync_without_effect() {
    find(Fault::SyncWithoutEffect, POWER_LOSS_SEEDS, power_loss);
    find(Fault::SyncWithoutEffect, CLUSTER_SEEDS, cluster);
}

#[test]
fn stale_read() {
    find(Fault::StaleRead, CLUSTER_SEEDS, cluster);
}

#[test]
fn event_lost_at_compaction() {
    find(Fault::EventLostAtCompaction, WATCH_SEEDS, watches);
}

#[test]
fn split_revision() {
    find(Fault::SplitRevision, WATCH_SEEDS, watches);
}

#[test]
fn double_apply() {
    find(Fault::DoubleApply, POWER_LOSS_SEEDS, power_loss);
}

#[test]
fn early_expiry() {
    find(Fault::EarlyExpiry, POWER_LOSS_SEEDS, power_loss);
    find(Fault::EarlyExpiry, CLUSTER_SEEDS, cluster);
}

#[test]
fn forgotten_vote() {
    find(Fault::ForgottenVote, CLUSTER_SEEDS, cluster);
}

#[test]
fn early_progress() {
    find(Fault::EarlyProgress, WATCH_SEEDS, watches);
}

#[test]
fn forgotten_session() {
    find(Fault::ForgottenSession, CLUSTER_SEEDS, cluster);
}

#[test]
fn snapshot_lacks_version() {
    find(Fault::SnapshotLacksVersion, SHORT_LOG_SEEDS, short_logs);
}

#[test]
fn commit_without_quorum() {
    find(Fault::CommitWithoutQuorum, CLUSTER_SEEDS, cluster);
}

fn power_loss(seed: u64) -> Result<(), String> {
    PowerLossRun::new(seed).run().map(drop)
}

/// Of three members and of five, in turn.
fn cluster(run: u64) -> Result<(), String> {
    ClusterRun::new(run / 2, if run.is_multiple_of(2) { 3 } else { 5 }).run().map(drop)
}

/// Members that need snapshots.
fn short_logs(seed: u64) -> Result<(), String> {
    ClusterRun::with_short_logs(seed, 3 + 2 * (seed % 2)).run().map(drop)
}

/// On this thread alone, as the fault is.
fn watches(seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async { watch_stress::run(seed).await });
    Ok(())
}

/// Runs a suite's seeds with a fault in the product until one of them fails.
fn find(fault: Fault, budget: u64, suite: fn(u64) -> Result<(), String>) {
    let objection = |run| {
        let judged = fault.planted_in(|| catch_unwind(AssertUnwindSafe(|| suite(run))));
        judged.unwrap_or_else(|panic| Err(words(&*panic))).err()
    };
    let found = (0..budget).find_map(|run| Some((run + 1, objection(run)?)));
    let (runs, how) = found.unwrap_or_else(|| panic!("{fault:?} is not found in {budget} runs"));
    // Past libtest's capture: how many runs it took tells how good the suite is.
    let _ = writeln!(std::io::stderr(), "{fault:?} is found in run {runs} of {budget}: {how}");
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
