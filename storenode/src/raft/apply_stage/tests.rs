//! The stage by itself: which entries go away, and how they come back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use internal_proto::{
    AuthRevision, Command, DeleteRangeRequest, Entry, KeyRange, LeaseGrantRequest, LeaseId, LogIndex, MemberId,
    Operation, PutLease, PutRequest, PutValue, RangeEnd, RangeRequest, Response, Sort, SortOrder, SortTarget, Term,
    TxnOperation, TxnRequest,
};
use parking_lot::Mutex;

use super::*;
use crate::engine::memory::MemoryEngine;
use crate::leader::lease_expiry::Lessor;
use crate::raft::inbox::{Arrivals, StageEvent, Writes};
use crate::state::Limits;
use crate::watch::Hub;

/// More than an entry of ordinary size touches.
const MANY: u64 = 6_000;
const LEASE: LeaseId = LeaseId(7);
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    stage: ApplyStage,
    inbox: Arc<Inbox>,
    next: LogIndex,
}

fn put(number: u64, lease: LeaseId) -> Operation {
    let value = PutValue::Set(Bytes::from_static(b"value"));
    Operation::Put(PutRequest { key: key(number), value, lease: PutLease::Set(lease), prev_kv: false })
}

fn key(number: u64) -> Bytes {
    format!("key {number:06}").into()
}

fn delete(from: u64, to: u64) -> DeleteRangeRequest {
    DeleteRangeRequest { range: KeyRange { start: key(from), end: RangeEnd::Before(key(to)) }, prev_kv: false }
}

fn entry(operations: Vec<Operation>) -> Input {
    let command = |operation| Command { origin: None, auth: AuthRevision(1), operation };
    Input::Commands(Entry { commands: operations.into_iter().map(command).collect() })
}

fn txn(operation: TxnOperation) -> Operation {
    Operation::Txn(TxnRequest { success: vec![operation], ..TxnRequest::default() })
}

impl Bench {
    /// A stage over a store of many keys, all of them attached to one lease.
    fn new(place: ApplyPlace) -> Self {
        let state = State::open(Arc::new(MemoryEngine::new()), Limits::default()).unwrap();
        let hub = Arc::new(Hub::new(state.reader()));
        let lessor = Arc::new(Mutex::new(Lessor::default()));
        let inbox = Arc::new(Inbox::default());
        let work = ApplyWork::new(MemberId(1), state, hub, lessor, Arc::new(Instant::now));
        let stage = ApplyStage::new(work, place, Arc::clone(&inbox));
        let mut bench = Self { stage, inbox, next: LogIndex(1) };
        let grant = Operation::LeaseGrant(LeaseGrantRequest { id: LEASE, ttl: 60 });
        let puts = (0..MANY).map(|number| put(number, LEASE));
        let Whereabouts::Home(work) = &mut bench.stage.whereabouts else { unreachable!("it is new") };
        work.perform(Task {
            index: LogIndex(1),
            term: Term(1),
            input: entry(Some(grant).into_iter().chain(puts).collect()),
        });
        bench.next = LogIndex(3);
        // The counted index divides a crowded group when the next key is created in it.
        work.perform(Task { index: LogIndex(2), term: Term(1), input: entry(vec![put(MANY, LeaseId(0))]) });
        bench
    }

    fn begin(&mut self, operation: Operation) -> Option<Done> {
        let index = self.next;
        self.next = index.next();
        self.stage.begin(Task { index, term: Term(1), input: entry(vec![operation]) })
    }

    fn is_large(&self, operation: Operation) -> bool {
        let Whereabouts::Home(work) = &self.stage.whereabouts else { unreachable!("nothing is away") };
        weight::is_large(work.reader(), &entry(vec![operation]))
    }

    /// What the thread reports.
    fn returned(&self) -> Returned {
        let mut arrivals = Arrivals::default();
        self.inbox.wait(Instant::now() + PATIENCE, Writes::Take);
        self.inbox.take(&mut arrivals, Writes::Take);
        match arrivals.events.pop() {
            Some(StageEvent::Applied(returned)) => returned,
            _ => panic!("the thread did not report"),
        }
    }
}

fn deleted(done: &Done) -> u64 {
    match &done.outcomes[0].result {
        Ok(Response::DeleteRange(delete)) => delete.deleted,
        other => panic!("not a deletion: {other:?}"),
    }
}

#[test]
fn a_large_entry_goes_away_and_comes_back_applied() {
    let mut bench = Bench::new(ApplyPlace::Auto);
    assert!(bench.begin(Operation::DeleteRange(delete(0, MANY))).is_none() && bench.stage.is_away());
    let returned = bench.returned();
    let done = bench.stage.welcome(returned);
    assert_eq!((done.index, deleted(&done)), (LogIndex(3), MANY));
    assert!(!bench.stage.is_away() && bench.begin(put(0, LeaseId(0))).is_some());
}

#[test]
fn what_an_entry_touches_decides() {
    let bench = Bench::new(ApplyPlace::Auto);
    let all = KeyRange::all();
    let range = |limit, sort, count_only| {
        let range = RangeRequest { range: all.clone(), limit, sort, count_only, ..RangeRequest::default() };
        txn(TxnOperation::Range(range))
    };
    let by_value = Some(Sort { target: SortTarget::Value, order: SortOrder::Ascend });
    for large in [
        Operation::DeleteRange(delete(0, MANY)),
        Operation::LeaseRevoke(LEASE),
        txn(TxnOperation::DeleteRange(delete(0, MANY))),
        range(0, None, false),
        range(10, by_value, false),
    ] {
        assert!(bench.is_large(large.clone()), "{large:?}");
    }
    for small in [
        put(0, LEASE),
        Operation::DeleteRange(delete(0, MANY / 2)),
        Operation::DeleteRange(delete(MANY, 0)),
        Operation::LeaseRevoke(LeaseId(8)),
        txn(TxnOperation::DeleteRange(delete(0, 100))),
        range(10, None, false),
        range(0, None, true),
    ] {
        assert!(!bench.is_large(small.clone()), "{small:?}");
    }
}

#[test]
fn a_stage_that_has_come_home_stays() {
    let mut bench = Bench::new(ApplyPlace::Auto);
    assert!(bench.begin(Operation::DeleteRange(delete(0, MANY - 500))).is_none());
    bench.stage.come_home();
    assert!(bench.stage.is_away(), "what it reported is in the inbox");
    let returned = bench.returned();
    bench.stage.welcome(returned);
    let refilled = entry((0..MANY).map(|number| put(number, LeaseId(0))).collect());
    assert!(bench.stage.begin(Task { index: LogIndex(4), term: Term(1), input: refilled }).is_some());
    bench.next = LogIndex(5);
    assert!(bench.begin(Operation::DeleteRange(delete(0, MANY))).is_some_and(|done| deleted(&done) == MANY));
}

#[test]
fn a_panic_of_the_thread_is_the_drivers() {
    let mut bench = Bench::new(ApplyPlace::Auto);
    bench.next = LogIndex(9);
    assert!(bench.begin(Operation::DeleteRange(delete(0, MANY))).is_none());
    let returned = bench.returned();
    let outcome = catch_unwind(AssertUnwindSafe(|| bench.stage.welcome(returned)));
    assert!(outcome.is_err(), "an entry out of order was applied");
}

#[test]
fn in_a_simulation_any_entry_is_away_for_some_passes() {
    let mut bench = Bench::new(ApplyPlace::Deferred(Delay { seed: 1, least: 3, most: 3 }));
    assert!(bench.begin(put(0, LeaseId(0))).is_none());
    assert!(bench.stage.pass().is_none() && bench.stage.pass().is_none() && bench.stage.is_away());
    assert!(bench.stage.pass().is_some() && !bench.stage.is_away());
    assert!(bench.begin(put(0, LeaseId(0))).is_none());
    bench.stage.come_home();
    assert!(bench.stage.pass().is_some() && bench.begin(put(0, LeaseId(0))).is_some());
    assert!(bench.stage.pass().is_none(), "nothing is away");
}
