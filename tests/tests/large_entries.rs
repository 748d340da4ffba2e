//! An entry that takes long to apply keeps nobody from anything else: the cluster keeps its leader, and what does not
//! depend on that entry goes on.
//!
//! ```text
//!   simulated   every entry is away for seconds     ticks, heartbeats, the log and elections do not notice
//!   real        one DeleteRange of very many keys   barriers, keepalives and serializable reads beside it
//! ```

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use internal_proto::{
    Answer, DeleteRangeRequest, Error, Freshness, KeyRange, LeaseGrantRequest, LeaseId, Operation, PutLease,
    PutRequest, PutValue, RangeEnd, RangeRequest, Request, Response, Store as _, TxnOperation, TxnRequest,
};
use storenode::files::PowerLoss;
use storenode::{ApplyPlace, Delay, LogPlace, Node, Tuning};
use tests::simulation::cluster::{Cluster, LONG_LOGS};
use tests::simulation::network::Quality;
use tests::simulation::pending::{Pending, runtime};
use tests::threads::{Members, until, wait};

/// Enough for several elections, were the raft threads to apply the entry.
const KEYS: u64 = 300_000;
const ELECTION: Duration = Duration::from_secs(1);
const LEASE: LeaseId = LeaseId(7);

fn put(number: u64) -> PutRequest {
    let key = Bytes::from(format!("key/{number:028}"));
    let value = PutValue::Set(Bytes::from_static(b"value"));
    PutRequest { key, value, lease: PutLease::Set(LeaseId(0)), prev_kv: false }
}

fn kept() -> Bytes {
    Bytes::from_static(b"kept")
}

/// Everything but what is kept.
fn delete_all() -> Operation {
    let start = Bytes::from_static(b"key/");
    let range = KeyRange { start, end: RangeEnd::Before(Bytes::from_static(b"key0")) };
    Operation::DeleteRange(DeleteRangeRequest { range, prev_kv: false })
}

/// Puts so many keys, everywhere. Who leads in the end.
fn fill(members: &Members, keys: u64) -> usize {
    let mut leader = members.leader(&Operation::Put(PutRequest { key: kept(), ..put(0) }));
    for first in (0..keys).step_by(1_000) {
        let success = (first..first + 1_000).map(|number| TxnOperation::Put(put(number))).collect();
        leader = members.leader(&Operation::Txn(TxnRequest { success, ..TxnRequest::default() }));
    }
    let goal = members.0[leader].reader().applied();
    until(|| members.0.iter().all(|node| node.reader().applied() >= goal).then_some(()));
    leader
}

/// Keeps a lease alive as a gateway does, until it is told that all is over. How often it was renewed.
async fn keep_alive(node: Arc<Node>, over: Arc<AtomicBool>) -> u64 {
    let mut renewed = 0;
    while !over.load(Ordering::Relaxed) {
        let barrier = node.barrier().await.unwrap();
        let freshness = Freshness { applied: barrier.index, ..Freshness::default() };
        match node.query(Request::LeaseKeepAlive(LEASE), freshness).await {
            Ok(Answer { response: Response::LeaseKeepAlive { ttl }, .. }) => {
                assert!(ttl > 0, "the lease ended");
                renewed += 1;
            }
            // As etcd: a keepalive waits for what was committed before it, but not for ever.
            Err(Error::TimeoutWaitApplied) => {}
            other => panic!("a keepalive is answered {other:?}"),
        }
    }
    renewed
}

#[test]
fn a_cluster_that_deletes_very_many_keys_keeps_its_leader() {
    let tuning = Tuning { segment_bytes: 16 << 20, ..Tuning::default() };
    let members = Members::start(ELECTION, tuning, PowerLoss::new);
    let leader = fill(&members, KEYS);
    let over = Arc::new(AtomicBool::new(false));
    let believed = members.belief(leader);
    let grant = Operation::LeaseGrant(LeaseGrantRequest { id: LEASE, ttl: 2 });
    assert!(wait(members.write(leader, grant)).is_ok());
    let keepalives = {
        let (node, over) = (Arc::clone(&members.0[leader]), Arc::clone(&over));
        std::thread::spawn(move || runtime().block_on(keep_alive(node, over)))
    };
    let start = Instant::now();
    let mut deletion = members.write(leader, delete_all());
    let (mut reads, mut longest, mut longest_barrier) = (0, Duration::ZERO, Duration::ZERO);
    let answer = loop {
        if let Some(answer) = deletion.poll() {
            break answer;
        }
        for node in &members.0 {
            let begun = Instant::now();
            let range = RangeRequest { range: KeyRange::single(kept()), serializable: true, ..RangeRequest::default() };
            let found = wait(Pending::new(node.query(Request::Range(range), Freshness::default())));
            assert!(matches!(found.unwrap().response, Response::Range(range) if range.count == 1));
            longest = longest.max(begun.elapsed());
            reads += 1;
        }
        let begun = Instant::now();
        assert!(wait(Pending::new(members.0[leader].barrier())).is_ok(), "nobody confirms the leader");
        longest_barrier = longest_barrier.max(begun.elapsed());
    };
    let took = start.elapsed();
    eprintln!("deleting {KEYS} keys took {took:?}; {reads} reads beside it; longest: {longest:?}, {longest_barrier:?}");
    assert!(matches!(answer.unwrap().response, Response::DeleteRange(delete) if delete.deleted == KEYS));
    assert!(reads > 0 && longest < took / 5, "reads waited for it: {longest:?}");
    assert!(longest_barrier < took / 5, "the raft threads stood still: {longest_barrier:?}");
    let goal = members.0[leader].reader().applied();
    until(|| members.0.iter().all(|node| node.reader().applied() >= goal).then_some(()));
    for index in 0..members.0.len() {
        assert_eq!(members.belief(index), believed, "there was an election");
    }
    over.store(true, Ordering::Relaxed);
    assert!(keepalives.join().unwrap() > 0);
    members.stop();
}

#[test]
fn a_node_that_stops_answers_for_the_entry_that_is_away() {
    let members = Members::start(ELECTION, Tuning::default(), PowerLoss::new);
    let leader = fill(&members, KEYS / 6);
    let deletion = members.write(leader, delete_all());
    until(|| (members.0[leader].status().committed > members.0[leader].status().applied).then_some(()));
    members.0[leader].stop();
    assert!(wait(deletion).is_ok());
    members.stop();
}

#[test]
fn entries_that_are_away_for_seconds_depose_nobody() {
    let runtime = runtime();
    let _context = runtime.enter();
    let mut cluster = Cluster::new(1, 3, Quality::GOOD, LONG_LOGS);
    // A pass comes every ten milliseconds or so.
    let seconds = Delay { seed: 1, least: 200, most: 500 };
    for machine in &mut cluster.machines {
        (machine.tuning.log, machine.tuning.apply) = (LogPlace::Inline, ApplyPlace::Deferred(seconds));
    }
    (0..3).for_each(|index| cluster.start(index).unwrap());
    let mut leader = None;
    while leader.is_none() {
        assert_eq!(cluster.step().unwrap(), []);
        leader = cluster.leader();
    }
    let (leader, terms) = (leader.unwrap(), cluster.terms_led());
    for number in 0..20 {
        let begun = cluster.now();
        let mut answer = cluster.machines[leader].submit(&[Operation::Put(put(number))]).pop().unwrap();
        let answer = loop {
            assert_eq!(cluster.step().unwrap(), [], "nobody stops");
            if let Some(answer) = answer.poll() {
                break answer;
            }
        };
        assert!(answer.is_ok(), "{answer:?}");
        assert!(cluster.now() - begun > Duration::from_secs(1), "it was not away");
    }
    assert_eq!(cluster.terms_led(), terms, "there was an election");
}
