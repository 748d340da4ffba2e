//! A disk that hangs stops what must be durable and nothing else: real nodes on threads of their own, one of them on a
//! disk whose syncs wait for the test.
//!
//! ```text
//!   node 1 ─┐
//!   node 2 ─┼─ messages through memory       disk of one node: sync ─► gate ─► goes on when the test opens it
//!   node 3 ─┘
//! ```

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use internal_proto::{
    Answer, AuthRevision, ClusterId, Command, Error, Freshness, LeaseId, Member, MemberId, Operation, PutLease,
    PutRequest, PutValue, Request, Responder, Response, Store as _, Term, Write,
};
use parking_lot::{Condvar, Mutex};
use prometheus::Registry;
use storenode::config::{Config, Engine};
use storenode::files::PowerLoss;
use storenode::{LogPlace, Node, PeerMessage, Recipient as _, Surroundings, Transport, Tuning};
use tests::simulation::pending::Pending;

const ELECTION: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: u64 = 3;

/// Every node's way to the others.
#[derive(Clone, Default)]
struct Mesh(Arc<Mutex<Vec<Arc<Node>>>>);

impl Transport for Mesh {
    fn send(&self, messages: Vec<PeerMessage>) {
        let nodes = self.0.lock().clone();
        for message in messages {
            if let Some(node) = nodes.iter().find(|node| node.member() == message.to()) {
                node.deliver(message);
            }
        }
    }
}

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
    nodes: Vec<Arc<Node>>,
    gates: Vec<Arc<Gate>>,
}

impl Cluster {
    fn start(log: LogPlace) -> Self {
        let mesh = Mesh::default();
        let gates: Vec<Arc<Gate>> = (0..SIZE).map(|_| Arc::default()).collect();
        let start = |id: u64| {
            let disk = PowerLoss::new(id);
            let gate = Arc::clone(&gates[usize::try_from(id).unwrap() - 1]);
            disk.before_sync(Some(Arc::new(move || gate.pass())));
            let surroundings = Surroundings {
                files: Arc::new(disk),
                transport: Arc::new(mesh.clone()),
                clock: Arc::new(Instant::now),
            };
            let tuning = Tuning { log, segment_bytes: 1 << 20, ..Tuning::default() };
            Arc::new(Node::start(&config(id), surroundings, &Registry::new(), tuning).unwrap())
        };
        let nodes: Vec<_> = (1..=SIZE).map(start).collect();
        mesh.0.lock().clone_from(&nodes);
        Self { nodes, gates }
    }

    /// The leader's place once a write went through it and everybody knows it.
    fn leader(&self) -> usize {
        let leader = until(|| (0..self.nodes.len()).find(|&index| wait(self.write(index)).is_ok()));
        until(|| (0..self.nodes.len()).all(|index| self.belief(index) == self.belief(leader)).then_some(leader))
    }

    fn write(&self, index: usize) -> Pending<Result<Answer, Error>> {
        let key = Bytes::from_static(b"key");
        let value = PutValue::Set(Bytes::from_static(b"value"));
        let put = PutRequest { key, value, lease: PutLease::Set(LeaseId(0)), prev_kv: false };
        let (respond, answer) = Responder::new();
        let command = Command { origin: None, auth: AuthRevision(1), operation: Operation::Put(put) };
        self.nodes[index].submit(vec![Write { command, respond }]);
        Pending::new(answer)
    }

    /// The term and leader that a node believes in, by a read that needs nobody else.
    fn belief(&self, index: usize) -> (Term, Option<MemberId>) {
        match wait(Pending::new(self.nodes[index].query(Request::Status, Freshness::default()))) {
            Ok(Answer { response: Response::Status(status), stamp }) => (stamp.term, status.leader),
            other => panic!("asked for its status, a node answers {other:?}"),
        }
    }

    fn stop(self) {
        self.nodes.iter().for_each(|node| node.stop());
    }
}

fn config(id: u64) -> Config {
    let member = |id| Member { id: MemberId(id), name: id.to_string(), ..Member::default() };
    Config {
        data_dir: PathBuf::from("/data"),
        cluster_id: ClusterId(1),
        member_id: MemberId(id),
        name: id.to_string(),
        client_urls: Vec::new(),
        members: (1..=SIZE).map(member).collect(),
        joins: false,
        engine: Engine::Memory,
        quota_bytes: 0,
        heartbeat_interval: ELECTION / 10,
        election_timeout: ELECTION,
        pre_vote: true,
    }
}

fn until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::yield_now();
    }
}

fn wait<T>(mut pending: Pending<T>) -> T {
    until(|| pending.poll())
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
        let barrier = wait(Pending::new(cluster.nodes[leader].barrier()));
        assert!(barrier.is_ok(), "the others still answer: {barrier:?}");
        assert!(write.poll().is_none(), "acknowledged what is on no disk");
        (0..cluster.nodes.len()).for_each(|index| assert_eq!(cluster.belief(index), believed, "there was an election"));
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
    let follower = (leader + 1) % cluster.nodes.len();
    cluster.gates[follower].set_closed(true);
    assert!(wait(cluster.write(leader)).is_ok());
    cluster.gates[follower].wait_for_somebody();
    let start = Instant::now();
    while start.elapsed() < ELECTION * 2 {
        assert!(wait(cluster.write(leader)).is_ok());
        (0..cluster.nodes.len()).for_each(|index| assert_eq!(cluster.belief(index), believed, "there was an election"));
    }
    cluster.gates[follower].set_closed(false);
    let goal = cluster.nodes[leader].reader().applied();
    until(|| (cluster.nodes[follower].reader().applied() >= goal).then_some(()));
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
    assert!(wait(Pending::new(cluster.nodes[leader].barrier())).is_ok());
    assert!(write.poll().is_none());
    cluster.gates[leader].set_closed(false);
    assert!(wait(write).is_ok());
    cluster.stop();
}
