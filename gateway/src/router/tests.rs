//! Numbered writes over nodes that lose answers, change leaders and forget sessions: each is applied once, or its
//! client is told that nobody knows. Reads ask the leader what is committed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use internal_proto::{
    Answer, Barrier, Command, Error, Freshness, KeyRange, LogIndex, MemberId, Operation, PutLease, PutRequest,
    PutResponse, PutValue, RangeRequest, RangeResponse, Reply, Request, Response, Revision, SessionId, Stamp, Standing,
    Store, Term, WatchLink, Write,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, watch};

use super::{Introduction, Nodes, Router};

const TIMEOUT: Duration = Duration::from_secs(7);

/// What the nodes share: the log as a quorum has it.
struct Cluster {
    random: StdRng,
    /// Faults in a thousand.
    faults: u32,
    leader: MemberId,
    term: u64,
    index: u64,
    sessions: BTreeSet<SessionId>,
    answers: HashMap<(SessionId, u64), Answer>,
    /// Every key applied, as often as it was.
    applied: HashMap<Bytes, usize>,
    standings: Vec<watch::Sender<Standing>>,
    /// Asked of a node: what it had to have applied.
    asked: Vec<(MemberId, LogIndex)>,
}

impl Cluster {
    fn new(seed: u64, faults: u32) -> Arc<Mutex<Self>> {
        let cluster = Self {
            random: StdRng::seed_from_u64(seed),
            faults,
            leader: MemberId(1),
            term: 1,
            index: 0,
            sessions: BTreeSet::new(),
            answers: HashMap::new(),
            applied: HashMap::new(),
            standings: (0..3).map(|_| watch::Sender::new(Standing::default())).collect(),
            asked: Vec::new(),
        };
        cluster.tell();
        Arc::new(Mutex::new(cluster))
    }

    fn tell(&self) {
        for standing in &self.standings {
            standing.send_replace(Standing { reachable: true, leader: Some(self.leader), term: Term(self.term) });
        }
    }

    fn fault(&mut self) -> bool {
        self.random.random_range(0..1000) < self.faults
    }

    fn elect(&mut self) {
        self.leader = MemberId(self.random.random_range(1..=3));
        self.term += 1;
        // The news is late now and then.
        if !self.fault() {
            self.tell();
        }
    }

    /// `None`: the answer is lost.
    fn submit(&mut self, to: MemberId, command: &Command) -> Option<Result<Answer, Error>> {
        if self.fault() {
            self.elect();
        }
        if to != self.leader {
            self.tell();
            return Some(Err(Error::NotLeader { hint: Some(self.leader) }));
        }
        if self.fault() {
            return if self.fault() { None } else { Some(Err(Error::TimeoutLeaderFail)) };
        }
        if self.fault() && self.fault() {
            self.sessions.clear();
        }
        let answer = self.apply(command);
        if self.fault() { None } else { Some(answer) }
    }

    fn apply(&mut self, command: &Command) -> Result<Answer, Error> {
        self.index += 1;
        let stamp = Stamp { revision: Revision(self.index.cast_signed()), ..Stamp::default() };
        let put = match &command.operation {
            Operation::OpenSession => {
                self.sessions.insert(SessionId(self.index));
                return Ok(Answer { response: Response::SessionOpened(SessionId(self.index)), stamp });
            }
            Operation::Put(put) => put,
            other => panic!("{other:?} was not written"),
        };
        let origin = command.origin.expect("a write among several nodes is numbered");
        if !self.sessions.contains(&origin.session) {
            return Err(Error::UnknownSession);
        }
        let number = (origin.session, origin.sequence);
        if let Some(answer) = self.answers.get(&number) {
            return Ok(answer.clone());
        }
        self.answers.retain(|(session, sequence), _| *session != origin.session || *sequence > origin.floor);
        *self.applied.entry(put.key.clone()).or_default() += 1;
        let answer = Answer { response: Response::Put(PutResponse::default()), stamp };
        self.answers.insert(number, answer.clone());
        Ok(answer)
    }
}

struct Node {
    id: MemberId,
    cluster: Arc<Mutex<Cluster>>,
}

impl Store for Node {
    fn member(&self) -> MemberId {
        self.id
    }

    fn submit(&self, writes: Vec<Write>) {
        for write in writes {
            if let Some(answer) = self.cluster.lock().submit(self.id, &write.command) {
                write.respond.send(answer);
            }
        }
    }

    fn barrier(&self) -> Reply<Result<Barrier, Error>> {
        let cluster = self.cluster.lock();
        Reply::ready(if cluster.leader == self.id {
            Ok(Barrier { index: LogIndex(cluster.index), term: Term(cluster.term) })
        } else {
            Err(Error::NotLeader { hint: Some(cluster.leader) })
        })
    }

    fn query(&self, _request: Request, freshness: Freshness) -> Reply<Result<Answer, Error>> {
        let mut cluster = self.cluster.lock();
        cluster.asked.push((self.id, freshness.applied));
        if cluster.fault() {
            return Reply::ready(Err(Error::TimeoutWaitApplied));
        }
        let stamp = Stamp { member: self.id, ..Stamp::default() };
        Reply::ready(Ok(Answer { response: Response::Range(RangeResponse::default()), stamp }))
    }

    fn watch(&self) -> WatchLink {
        WatchLink { commands: mpsc::channel(1).0, batches: mpsc::channel(1).1 }
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.cluster.lock().standings[usize::try_from(self.id.0).unwrap() - 1].subscribe()
    }
}

fn router(cluster: &Arc<Mutex<Cluster>>, own: Option<u64>) -> Router {
    let node = |id| Arc::new(Node { id: MemberId(id), cluster: Arc::clone(cluster) }) as Arc<dyn Store>;
    let nodes = Nodes::new(own.map(node), Introduction::new(None, ""));
    for id in 1..=3 {
        nodes.add(node(id));
    }
    Router::new(Arc::new(nodes), TIMEOUT)
}

fn put(key: &str) -> Request {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), PutValue::Set(Bytes::new()));
    Request::Put(PutRequest { key, value, lease: PutLease::Set(Default::default()), prev_kv: false })
}

fn range(serializable: bool) -> Request {
    let range = KeyRange::single(Bytes::from_static(b"key"));
    Request::Range(RangeRequest { range, serializable, ..RangeRequest::default() })
}

async fn write_many(seed: u64, faults: u32) -> (usize, usize) {
    let cluster = Cluster::new(seed, faults);
    let router = router(&cluster, seed.is_multiple_of(2).then_some(1));
    let write = |client: usize| {
        let router = router.clone();
        async move {
            let mut outcomes = Vec::new();
            for number in 0..20 {
                let key = format!("{client}/{number}");
                let outcome = router.route(put(&key)).await;
                outcomes.push((key, outcome));
            }
            outcomes
        }
    };
    let outcomes = futures_util::future::join_all((0..10).map(write)).await;
    let (mut acknowledged, mut unknown) = (0, 0);
    for (key, outcome) in outcomes.into_iter().flatten() {
        let times = cluster.lock().applied.get(key.as_bytes()).copied().unwrap_or_default();
        match outcome {
            Ok(_) => {
                assert_eq!(times, 1, "seed {seed}: {key} was acknowledged");
                acknowledged += 1;
            }
            Err(Error::TimeoutConnectionLost) => {
                assert!(times <= 1, "seed {seed}: {key} was applied {times} times");
                unknown += 1;
            }
            Err(error) => panic!("seed {seed}: {key}: {error}"),
        }
    }
    (acknowledged, unknown)
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_write_is_applied_once_whatever_is_lost() {
    let mut unknown = 0;
    for seed in 0..40 {
        unknown += write_many(seed, 60).await.1;
    }
    // Only a session that ends between two tries leaves an outcome open.
    assert!(unknown > 0, "no seed forgot a session in the worst moment");
    assert!(unknown < 40 * 20, "{unknown} of 8000 outcomes are unknown");
}

#[tokio::test(start_paused = true)]
async fn without_faults_nothing_is_unknown() {
    assert_eq!(write_many(1, 0).await, (200, 0));
}

#[tokio::test(start_paused = true)]
async fn a_linearizable_read_sees_what_the_leader_has_at_the_own_node() {
    let cluster = Cluster::new(1, 0);
    let router = router(&cluster, Some(2));
    router.route(put("key")).await.unwrap();
    let index = LogIndex(cluster.lock().index);
    assert_eq!(router.route(range(false)).await.unwrap().stamp.member, MemberId(2));
    router.route(range(true)).await.unwrap();
    assert_eq!(cluster.lock().asked, [(MemberId(2), index), (MemberId(2), LogIndex(0))]);
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_on_to_the_next_node_when_one_cannot_catch_up() {
    let cluster = Cluster::new(3, 300);
    let router = router(&cluster, Some(2));
    for _ in 0..50 {
        router.route(range(false)).await.unwrap();
    }
    assert!(cluster.lock().asked.iter().any(|(node, _)| *node != MemberId(2)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_applies_late_is_asked_again() {
    let cluster = Cluster::new(3, 300);
    let router = router(&cluster, Some(2));
    for _ in 0..50 {
        router.route(Request::LeaseLeases).await.unwrap();
    }
    assert!(cluster.lock().asked.len() > 50);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_a_write_waits_until_its_time_is_over() {
    let cluster = Cluster::new(1, 0);
    let router = router(&cluster, None);
    for standing in &cluster.lock().standings {
        standing.send_replace(Standing { reachable: true, leader: None, term: Term(1) });
    }
    assert_eq!(router.route(put("key")).await, Err(Error::Timeout));
    cluster.lock().tell();
    router.route(put("key")).await.unwrap();
}
