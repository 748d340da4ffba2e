//! A disk that hangs stops what must be durable and nothing else: real nodes on threads of their own, one of them on a
//! disk whose syncs wait for the test.
//!
//! ```text
//!   node 1 ─┐
//!   node 2 ─┼─ messages through memory       disk of one node: sync ─► gate ─► goes on when the test opens it
//!   node 3 ─┘
//! ```

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use internal_proto::{Answer, Error, LeaseId, MemberId, Operation, PutLease, PutRequest, PutValue, Store as _, Term};
use parking_lot::{Condvar, Mutex};
use storenode::files::PowerLoss;
use storenode::{LogPlace, Node, Tuning};
use tests::simulation::pending::Pending;
use tests::threads::{Members, until, wait};

const ELECTION: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// What every sync of a disk passes through.
#[derive(Default)]
struct Gate {
    /// Whether it is closed, and how many wait before it.
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock();
        state.1 += 1;
        self.changed.notify_all();
        while state.0 {
            self.changed.wait(&mut state);
        }
        state.1 -= 1;
    }

    fn set_closed(&self, closed: bool) {
        self.state.lock().0 = closed;
        self.changed.notify_all();
    }

    fn wait_for_somebody(&self) {
        let mut state = self.state.lock();
        while state.1 == 0 {
            assert!(!self.changed.wait_for(&mut state, PATIENCE).timed_out(), "nobody syncs");
        }
    }
}

struct Cluster {
    members: Members,
    gates: [Arc<Gate>; 3],
}

impl Cluster {
    fn start(log: LogPlace) -> Self {
        let gates: [Arc<Gate>; 3] = Default::default();
        let disk = |id: u64| {
            let disk = PowerLoss::new(id);
            let gate = Arc::clone(&gates[usize::try_from(id).unwrap() - 1]);
            disk.before_sync(Some(Arc::new(move || gate.pass())));
            disk
        };
        let tuning = Tuning { log, segment_bytes: 1 << 20, ..Tuning::default() };
        Self { members: Members::start(ELECTION, tuning, disk), gates }
    }

    fn nodes(&self) -> &[Arc<Node>] {
        &self.members.0
    }

    /// The leader's place once a write went through it and everybody knows it.
    fn leader(&self) -> usize {
        self.members.leader(&put())
    }

    fn write(&self, index: usize) -> Pending<Result<Answer, Error>> {
        self.members.write(index, put())
    }

    fn belief(&self, index: usize) -> (Term, Option<MemberId>) {
        self.members.belief(index)
    }

    fn stop(self) {
        self.members.stop();
    }
}

fn put() -> Operation {
    let value = PutValue::Set(Bytes::from_static(b"value"));
    let key = Bytes::from_static(b"key");
    Operation::Put(PutRequest { key, value, lease: PutLease::Set(LeaseId(0)), prev_kv: false })
}

#[test]
fn a_leader_whose_disk_hangs_acknowledges_nothing_and_does_everything_else() {
    let cluster = Cluster::start(LogPlace::Thread);
    let leader = cluster.leader();
    let believed = cluster.belief(leader);
    cluster.gates[leader].set_closed(true);
    let mut write = cluster.write(leader);
    cluster.gates[leader].wait_for_somebody();
    let start = Instant::now();
    while start.elapsed() < ELECTION * 2 {
        let barrier = wait(Pending::new(cluster.nodes()[leader].barrier()));
        assert!(barrier.is_ok(), "the others still answer: {barrier:?}");
        assert!(write.poll().is_none(), "acknowledged what is on no disk");
        (0..cluster.nodes().len())
            .for_each(|index| assert_eq!(cluster.belief(index), believed, "there was an election"));
    }
    cluster.gates[leader].set_closed(false);
    assert!(wait(write).is_ok());
    cluster.stop();
}

#[test]
fn a_follower_whose_disk_hangs_holds_nobody_up() {
    let cluster = Cluster::start(LogPlace::Thread);
    let leader = cluster.leader();
    let believed = cluster.belief(leader);
    let follower = (leader + 1) % cluster.nodes().len();
    cluster.gates[follower].set_closed(true);
    assert!(wait(cluster.write(leader)).is_ok());
    cluster.gates[follower].wait_for_somebody();
    let start = Instant::now();
    while start.elapsed() < ELECTION * 2 {
        assert!(wait(cluster.write(leader)).is_ok());
        (0..cluster.nodes().len())
            .for_each(|index| assert_eq!(cluster.belief(index), believed, "there was an election"));
    }
    cluster.gates[follower].set_closed(false);
    let goal = cluster.nodes()[leader].reader().applied();
    until(|| (cluster.nodes()[follower].reader().applied() >= goal).then_some(()));
    cluster.stop();
}

#[test]
fn a_log_moves_to_a_thread_when_its_disk_turns_out_slow() {
    let cluster = Cluster::start(LogPlace::Auto);
    let leader = cluster.leader();
    // Longer than a heartbeat may be kept waiting, shorter than an election takes.
    cluster.gates[leader].set_closed(true);
    let write = cluster.write(leader);
    cluster.gates[leader].wait_for_somebody();
    let start = Instant::now();
    until(|| (start.elapsed() > ELECTION / 20).then_some(()));
    cluster.gates[leader].set_closed(false);
    assert!(wait(write).is_ok());
    cluster.gates[leader].set_closed(true);
    let mut write = cluster.write(leader);
    cluster.gates[leader].wait_for_somebody();
    assert!(wait(Pending::new(cluster.nodes()[leader].barrier())).is_ok());
    assert!(write.poll().is_none());
    cluster.gates[leader].set_closed(false);
    assert!(wait(write).is_ok());
    cluster.stop();
}
