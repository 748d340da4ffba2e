//! A leader that ends, is said to have ended, or gives its office away: in simulation, where time can be counted.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use internal_proto::{Error, LeaseId, MemberId, Operation, PutLease, PutRequest, PutValue};
use storenode::{ApplyPlace, Delay, LogPlace, Recipient as _};
use tests::simulation::cluster::{Cluster, LONG_LOGS};
use tests::simulation::machine::{ELECTION, PendingWrite};
use tests::simulation::network::Quality;
use tests::simulation::pending::{Pending, runtime};

const SEEDS: u64 = 20;
/// Every hop of a message takes a simulated step of up to 20 ms, and one candidacy may have to be repeated. An election
/// by timeout begins only after twice this.
const AT_ONCE: Duration = Duration::from_millis(500);
/// A cluster of a few simulated members needs less.
const DEADLINE: Duration = Duration::from_secs(20);

/// A cluster that has a leader; its place. Disks take no time.
fn led_on_quick_disks(seed: u64, size: u64) -> (Cluster, usize) {
    led(on_quick_disks(seed, size))
}

fn on_quick_disks(seed: u64, size: u64) -> Cluster {
    let mut cluster = Cluster::new(seed, size, Quality::GOOD, LONG_LOGS);
    for machine in &mut cluster.machines {
        (machine.tuning.log, machine.tuning.apply) = (LogPlace::Inline, ApplyPlace::Inline);
    }
    cluster
}

fn led(mut cluster: Cluster) -> (Cluster, usize) {
    (0..cluster.size()).for_each(|index| cluster.start(index).unwrap());
    let leader = until(&mut cluster, |_| {}, Cluster::leader);
    (cluster, leader)
}

/// Moves on, doing something before each step, until something holds.
fn until<T>(
    cluster: &mut Cluster,
    mut before: impl FnMut(&Cluster),
    mut holds: impl FnMut(&Cluster) -> Option<T>,
) -> T {
    let deadline = cluster.now() + DEADLINE;
    loop {
        if let Some(value) = holds(cluster) {
            return value;
        }
        assert!(cluster.now() < deadline, "it does not come to that");
        before(cluster);
        cluster.step().unwrap();
    }
}

fn id(index: usize) -> MemberId {
    MemberId(index as u64 + 1)
}

fn everybody_hears_of_the_end(cluster: &Cluster, of: usize) {
    for index in (0..cluster.size()).filter(|&index| index != of) {
        cluster.node(index).unwrap().gone(id(of));
    }
}

#[test]
fn an_ended_leader_is_replaced_at_once() {
    let runtime = runtime();
    let _context = runtime.enter();
    for (seed, size) in (0..SEEDS).flat_map(|seed| [(seed, 3), (seed, 5)]) {
        let (mut cluster, leader) = led_on_quick_disks(seed, size);
        cluster.machines[leader].kill();
        let killed = cluster.now();
        until(&mut cluster, |cluster| everybody_hears_of_the_end(cluster, leader), Cluster::leader);
        let took = cluster.now() - killed;
        assert!(took < AT_ONCE, "seed {seed}, {size} members: {took:?}");
    }
}

#[test]
fn who_has_much_to_apply_leaves_the_office_to_others() {
    let runtime = runtime();
    let _context = runtime.enter();
    for seed in 0..SEEDS {
        let (mut cluster, leader) = led_beside_one_that_applies_slowly(seed);
        cluster.machines[leader].submit(&puts());
        let applied = |cluster: &Cluster, index: usize| cluster.node(index).unwrap().reader().applied().0;
        let others = |cluster: &Cluster| [0, 2].map(|index| applied(cluster, index)).into_iter().min();
        // As in a cluster in use, for long enough that all have logged everything.
        let end = cluster.now() + ELECTION;
        until(&mut cluster, |_| {}, |cluster| (cluster.now() >= end).then_some(()));
        assert!(Some(applied(&cluster, SLOW)) < others(&cluster), "seed {seed}: it is not behind");

        let mut over = Pending::new(cluster.node(leader).unwrap().hand_over());
        until(&mut cluster, |_| {}, |_| over.poll());
        let leader = cluster.leader().unwrap();
        assert_ne!(leader, SLOW, "seed {seed}: leadership was handed to it");

        cluster.machines[leader].kill();
        let killed = cluster.now();
        let next = until(&mut cluster, |cluster| everybody_hears_of_the_end(cluster, leader), Cluster::leader);
        assert_ne!(next, SLOW, "seed {seed}");
        assert!(cluster.now() - killed < AT_ONCE, "seed {seed}: {:?}", cluster.now() - killed);
    }
}

/// The member whose turn would be first when the first leads.
const SLOW: usize = 1;

/// Three members on quick disks that another than the slow one leads.
fn led_beside_one_that_applies_slowly(seed: u64) -> (Cluster, usize) {
    /// More passes than any test makes.
    const FOR_EVER: u32 = 1 << 30;
    let mut cluster = on_quick_disks(seed, 3);
    cluster.machines[SLOW].tuning.apply = ApplyPlace::Deferred(Delay { seed, least: FOR_EVER, most: FOR_EVER });
    [0, 2].into_iter().for_each(|index| cluster.start(index).unwrap());
    let leader = until(&mut cluster, |_| {}, Cluster::leader);
    cluster.start(SLOW).unwrap();
    (cluster, leader)
}

#[test]
fn one_bad_link_deposes_nobody() {
    let runtime = runtime();
    let _context = runtime.enter();
    for seed in 0..SEEDS {
        let (mut cluster, leader) = led_on_quick_disks(seed, 3);
        let terms = cluster.terms_led();
        let end = cluster.now() + Duration::from_secs(5);
        let mistaken = (leader + 1) % 3;
        let complain = |cluster: &Cluster| cluster.node(mistaken).unwrap().gone(id(leader));
        until(&mut cluster, complain, |cluster| (cluster.now() >= end).then_some(()));
        assert_eq!((cluster.terms_led(), cluster.leader()), (terms, Some(leader)), "seed {seed}");
    }
}

#[test]
fn a_leader_that_hands_over_drops_no_write() {
    let runtime = runtime();
    let _context = runtime.enter();
    for (seed, size) in (0..SEEDS).flat_map(|seed| [(seed, 3), (seed, 5)]) {
        let (mut cluster, leader) = led(Cluster::new(seed, size, Quality::GOOD, LONG_LOGS));
        let mut writes = cluster.machines[leader].submit(&puts());
        let mut over = Pending::new(cluster.node(leader).unwrap().hand_over());
        writes.extend(cluster.machines[leader].submit(&puts()));
        let begun = cluster.now();
        let next = until(&mut cluster, |_| {}, |cluster| cluster.leader().filter(|&next| next != leader));
        assert!(cluster.now() - begun < AT_ONCE, "seed {seed}, {size} members");
        until(&mut cluster, |_| {}, |_| over.poll());
        until(
            &mut cluster,
            |_| {},
            |_| {
                writes.retain_mut(|write| !is_answered(write, id(next)));
                writes.is_empty().then_some(())
            },
        );
    }
}

/// Whether a write is answered: acknowledged, or sent on to the new leader.
fn is_answered(write: &mut PendingWrite, next: MemberId) -> bool {
    match write.poll() {
        None => false,
        Some(Ok(_)) => true,
        Some(Err(Error::NotLeader { hint })) if hint == Some(next) => true,
        Some(other) => panic!("a write got {other:?}"),
    }
}

fn puts() -> Vec<Operation> {
    let put = |key: u8| PutRequest {
        key: vec![key].into(),
        value: PutValue::Set("value".into()),
        lease: PutLease::Set(LeaseId(0)),
        prev_kv: false,
    };
    (0..10).map(|key| Operation::Put(put(key))).collect()
}
