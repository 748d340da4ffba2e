//! Three real nodes on threads of their own in one process, with messages through memory.
//!
//! ```text
//!   node 1 ─┐
//!   node 2 ─┼─ Mesh: delivered at once      each with a disk of its own, in memory
//!   node 3 ─┘
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{
    Answer, AuthRevision, ClusterId, Command, Error, Freshness, Member, MemberId, Operation, Request, Responder,
    Response, Store as _, Term, Write,
};
use parking_lot::Mutex;
use prometheus::Registry;
use storenode::config::{Config, Engine};
use storenode::files::PowerLoss;
use storenode::{Node, PeerMessage, Recipient as _, Surroundings, Transport, Tuning};

use crate::simulation::pending::Pending;

/// How many members there are.
const SIZE: u64 = 3;
/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a condition: those who are to bring it about need the processor.
const PAUSE: Duration = Duration::from_micros(200);

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

/// The members, in the order of their ids.
pub struct Members(pub Vec<Arc<Node>>);

impl Members {
    /// Starts them, each on the disk that `disk` gives it.
    ///
    /// # Panics
    /// When one does not start.
    #[must_use]
    pub fn start(election: Duration, tuning: Tuning, disk: impl Fn(u64) -> PowerLoss) -> Self {
        let mesh = Mesh::default();
        let start = |id: u64| {
            let surroundings = Surroundings {
                files: Arc::new(disk(id)),
                transport: Arc::new(mesh.clone()),
                clock: Arc::new(Instant::now),
            };
            let node = Node::start(&config(id, election), surroundings, &Registry::new(), tuning);
            Arc::new(node.expect("a new node starts"))
        };
        let nodes: Vec<_> = (1..=SIZE).map(start).collect();
        mesh.0.lock().clone_from(&nodes);
        Self(nodes)
    }

    /// The leader's place once `operation` went through it and everybody knows it.
    ///
    /// # Panics
    /// When there is none in time.
    #[must_use]
    pub fn leader(&self, operation: &Operation) -> usize {
        let places = || 0..self.0.len();
        let leader = until(|| places().find(|&index| wait(self.write(index, operation.clone())).is_ok()));
        until(|| places().all(|index| self.belief(index) == self.belief(leader)).then_some(leader))
    }

    /// Has a node log an operation.
    #[must_use]
    pub fn write(&self, index: usize, operation: Operation) -> Pending<Result<Answer, Error>> {
        let (respond, answer) = Responder::new();
        let command = Command { origin: None, auth: AuthRevision(1), operation };
        self.0[index].submit(vec![Write { command, respond }]);
        Pending::new(answer)
    }

    /// The term and leader that a node believes in, by a read that needs nobody else.
    ///
    /// # Panics
    /// When it gives no status.
    #[must_use]
    pub fn belief(&self, index: usize) -> (Term, Option<MemberId>) {
        match wait(Pending::new(self.0[index].query(Request::Status, Freshness::default()))) {
            Ok(Answer { response: Response::Status(status), stamp }) => (stamp.term, status.leader),
            other => panic!("asked for its status, a node answers {other:?}"),
        }
    }

    /// Stops all of them.
    pub fn stop(self) {
        self.0.iter().for_each(|node| node.stop());
    }
}

fn config(id: u64, election: Duration) -> Config {
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
        heartbeat_interval: election / 10,
        election_timeout: election,
        pre_vote: true,
    }
}

/// Waits for a condition.
///
/// # Panics
/// When it does not come true in time.
pub fn until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(PAUSE);
    }
}

/// Waits for an answer.
///
/// # Panics
/// When it does not come in time.
pub fn wait<T>(mut pending: Pending<T>) -> T {
    until(|| pending.poll())
}
