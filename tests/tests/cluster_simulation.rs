//! Clusters under a bad network and bad power: nothing acknowledged is lost, nothing stale is read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tests::requirement::is_long_run;
use tests::simulation::cluster_faults::{ClusterRun, ClusterTally};
use tests::simulation::seeds::Seeds;

const SEEDS: Seeds = Seeds { everyday: 30, long: 300 };

#[test]
fn three_members_keep_their_promises() {
    run(3);
}

#[test]
fn five_members_keep_their_promises() {
    run(5);
}

fn run(size: u64) {
    let tally = SEEDS.run(|seed| ClusterRun::new(seed, size, false).run(), ClusterTally::add);
    eprintln!("{size} members: {tally:#?}");
    if Seeds::is_single() {
        return;
    }
    let runs = if is_long_run() { SEEDS.long } else { SEEDS.everyday };
    assert!(tally.writes >= runs * 100 && tally.reads >= runs * 100, "{tally:?}");
    assert!(tally.terms >= runs * 3 && tally.partitions >= runs * 4, "{tally:?}");
    assert!(tally.power_losses >= runs * 4 && tally.blackouts >= runs / 3 && tally.pauses >= runs * 2, "{tally:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let tally = || ClusterRun::new(7, 3, false).run();
    assert_eq!(tally(), tally());
}

#[test]
fn disks_that_ignore_syncs_are_found_out() {
    // Most runs lose a majority's memory: a node that does not start or panics, a lost write, members that disagree.
    let found = (0..10)
        .filter(|&seed| {
            let run = catch_unwind(AssertUnwindSafe(|| ClusterRun::new(seed, 3, true).run()));
            !matches!(run, Ok(Ok(_)))
        })
        .count();
    assert!(found >= 8, "only {found} of 10 runs noticed that acknowledged writes were lost");
}
