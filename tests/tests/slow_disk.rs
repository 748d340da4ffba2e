//! A slow or full disk of one member is that member's own trouble: the cluster keeps its leader and its pace.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use internal_proto::{LeaseId, Operation, PutLease, PutRequest, PutValue};
use storenode::{ApplyPlace, Delay, LogPlace};
use tests::simulation::cluster::{Cluster, LONG_LOGS};
use tests::simulation::network::Quality;
use tests::simulation::pending::runtime;

/// The member with the shortest election timeout leads.
const LEADER: usize = 0;
const FOLLOWER: usize = 2;

fn put(number: u32) -> Operation {
    let key = Bytes::from(format!("key {number}"));
    let value = PutValue::Set(Bytes::from(vec![b'x'; 100]));
    Operation::Put(PutRequest { key, value, lease: PutLease::Set(LeaseId(0)), prev_kv: false })
}

/// A cluster at work: one client puts, one after the other, at the leader.
struct Work {
    cluster: Cluster,
    puts: u32,
}

impl Work {
    fn start(change: impl Fn(&mut Cluster)) -> Self {
        let mut cluster = Cluster::new(1, 3, Quality::GOOD, LONG_LOGS);
        for machine in &mut cluster.machines {
            (machine.tuning.log, machine.tuning.apply) = (LogPlace::Inline, ApplyPlace::Inline);
        }
        change(&mut cluster);
        (0..3).for_each(|index| cluster.start(index).unwrap());
        let mut work = Self { cluster, puts: 0 };
        // Until there is a leader.
        while !work.put() {}
        work
    }

    /// Whether a put was acknowledged.
    fn put(&mut self) -> bool {
        self.puts += 1;
        let mut answer = self.cluster.machines[LEADER].submit(&[put(self.puts)]).pop().unwrap();
        loop {
            assert_eq!(self.cluster.step().unwrap(), [], "nobody stops");
            assert!(self.cluster.now() < Duration::from_secs(600), "the cluster stands still");
            if let Some(answer) = answer.poll() {
                return answer.is_ok();
            }
        }
    }

    /// How many puts are acknowledged within a while.
    fn puts_within(&mut self, duration: Duration) -> u32 {
        let (end, before) = (self.cluster.now() + duration, self.puts);
        while self.cluster.now() < end {
            assert!(self.put());
        }
        self.puts - before
    }

    fn applied(&self, index: usize) -> u64 {
        self.cluster.node(index).unwrap().reader().applied().0.0
    }
}

#[test]
fn a_follower_whose_disk_takes_seconds_slows_nobody_down() {
    let runtime = runtime();
    let _context = runtime.enter();
    let minute = Duration::from_secs(60);
    let healthy = Work::start(|_| {}).puts_within(minute);
    // A pass comes every ten milliseconds or so.
    let five_seconds = Delay { seed: 1, least: 500, most: 500 };
    let mut work = Work::start(|cluster| cluster.machines[FOLLOWER].tuning.log = LogPlace::Deferred(five_seconds));
    let terms = work.cluster.terms_led();
    let puts = work.puts_within(minute);
    assert!(puts * 10 >= healthy * 9, "{puts} puts instead of {healthy}");
    assert_eq!(work.cluster.terms_led(), terms, "there was an election");
    assert!(work.applied(FOLLOWER) > 1, "the slow member takes part all the same");
    let behind = work.applied(LEADER) - work.applied(FOLLOWER);
    assert!(behind > 10, "the disk was not slow: {behind}");
}

#[test]
fn a_flood_of_small_writes_is_divided_so_that_no_entry_takes_long_to_apply() {
    let runtime = runtime();
    let _context = runtime.enter();
    let large = |cluster: &mut Cluster| cluster.machines.iter_mut().for_each(|at| at.tuning.segment_bytes = 8 << 20);
    let mut work = Work::start(large);
    let before = work.applied(LEADER);
    let puts: Vec<_> = (0..10_000).map(put).collect();
    for mut answer in work.cluster.machines[LEADER].submit(&puts) {
        let answer = loop {
            if let Some(answer) = answer.poll() {
                break answer;
            }
            assert_eq!(work.cluster.step().unwrap(), []);
        };
        assert!(answer.is_ok());
    }
    assert!(work.applied(LEADER) - before >= 3, "ten thousand commands in less than three entries");
}

#[test]
fn a_follower_on_a_full_disk_stays_and_catches_up_when_there_is_space() {
    let runtime = runtime();
    let _context = runtime.enter();
    let mut work = Work::start(|_| {});
    work.puts_within(Duration::from_secs(1));
    let terms = work.cluster.terms_led();
    let disk = work.cluster.machines[FOLLOWER].disk.clone();
    disk.set_capacity(Some(disk.used()));
    work.puts_within(Duration::from_secs(60));
    let behind = work.applied(LEADER) - work.applied(FOLLOWER);
    assert!(behind > 100, "the disk was not full: {behind}");
    assert_eq!(work.cluster.terms_led(), terms, "there was an election");
    disk.set_capacity(None);
    let goal = work.applied(LEADER);
    while work.applied(FOLLOWER) < goal {
        assert_eq!(work.cluster.step().unwrap(), []);
        assert!(work.cluster.now() < Duration::from_secs(300), "the follower does not catch up");
    }
    assert_eq!(work.cluster.terms_led(), terms);
}
