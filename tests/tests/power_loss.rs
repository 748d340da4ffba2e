//! A node on a disk that loses whatever was not synced: every acknowledged write is there afterwards.

use tests::requirement::is_long_run;
use tests::simulation::power_loss::PowerLossRun;
use tests::simulation::seeds::Seeds;
use tests::simulation::tally::Tally;

#[test]
fn every_acknowledged_write_survives_every_interruption() {
    let seeds = Seeds { everyday: 60, long: 600 };
    let tally = seeds.run(|seed| PowerLossRun::new(seed).run(), Tally::add);
    println!("{tally:#?}");
    if Seeds::is_single() {
        return;
    }
    let runs = if is_long_run() { seeds.long } else { seeds.everyday };
    assert!(tally.power_losses >= runs * 6, "{tally:?}");
    assert!(tally.kills >= runs / 2 && tally.failed_syncs >= runs / 2, "{tally:?}");
    assert!(tally.losses_in_recovery >= runs / 4 && tally.tails_cut >= runs / 4, "{tally:?}");
    assert!(tally.checkpoints >= runs * 4 && tally.starts_from_checkpoint >= runs * 4, "{tally:?}");
    assert!(tally.segments_trimmed >= runs * 4, "{tally:?}");
    assert!(tally.found_applied >= runs && tally.found_lost >= runs, "{tally:?}");
    assert!(tally.expired >= runs / 2 && tally.acknowledged >= runs * 300, "{tally:?}");
}
