//! Clusters under a bad network and bad power: nothing acknowledged is lost, nothing stale is read.

use tests::requirement::is_long_run;
use tests::simulation::cluster_faults::{ClusterRun, ClusterTally};
use tests::simulation::seeds::Seeds;

const SEEDS: Seeds = Seeds { everyday: 60, long: 300 };

#[test]
fn three_members_keep_their_promises() {
    run(3);
}

#[test]
fn five_members_keep_their_promises() {
    run(5);
}

fn run(size: u64) {
    let tally = SEEDS.run(|seed| ClusterRun::new(seed, size).run(), ClusterTally::add);
    eprintln!("{size} members: {tally:#?}");
    if Seeds::is_single() {
        return;
    }
    let runs = if is_long_run() { SEEDS.long } else { SEEDS.everyday };
    assert!(tally.writes >= runs * 100 && tally.reads >= runs * 100, "{tally:?}");
    assert!(tally.terms >= runs * 3 && tally.partitions >= runs * 4, "{tally:?}");
    assert!(tally.interrupted_elections >= runs && tally.leases >= runs * 2 && tally.repeated >= runs, "{tally:?}");
    assert!(tally.power_losses >= runs * 4 && tally.blackouts >= runs / 3 && tally.pauses >= runs * 2, "{tally:?}");
}

#[test]
fn members_that_fell_behind_or_lost_their_disk_come_back_by_snapshots() {
    let tally = SEEDS.run(|seed| ClusterRun::with_short_logs(seed, 3 + 2 * (seed % 2)).run(), ClusterTally::add);
    eprintln!("short logs: {tally:#?}");
    if Seeds::is_single() {
        return;
    }
    let runs = if is_long_run() { SEEDS.long } else { SEEDS.everyday };
    assert!(tally.writes >= runs * 50 && tally.reads >= runs * 50, "{tally:?}");
    assert!(tally.snapshots >= runs * 3 / 2 && tally.new_disks >= runs, "{tally:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let tally = || ClusterRun::new(7, 3).run();
    assert_eq!(tally(), tally());
}
