//! A state over an engine that outlives the process: what a start finds again without walking the keys.

use std::path::Path;
use std::sync::Arc;

use internal_proto::{
    AuthRevision, ClusterId, Command, CompactRequest, DeleteRangeRequest, Entry, KeyRange, LeaseId, MemberId,
    Operation, PutLease, PutRequest, PutValue, RangeEnd, RangeRequest, Revision, Term,
};

use crate::engine::Engine as _;
use crate::engine::rocksdb::{Budget, RocksEngine};
use crate::identity::Identity;
use crate::state::{Input, Limits, State};

fn open(dir: &Path) -> (Arc<RocksEngine>, State) {
    let identity = Identity { cluster: ClusterId(1), member: MemberId(1) };
    let engine = Arc::new(RocksEngine::open(dir, identity, Budget::new(0)).unwrap());
    let state = State::open(engine.clone(), Limits::default()).unwrap();
    (engine, state)
}

fn apply(state: &mut State, operation: Operation) {
    let index = state.reader().applied().0.next();
    let commands = vec![Command { origin: None, auth: AuthRevision(1), operation }];
    let applied = state.apply(index, Term(1), Input::Commands(Entry { commands }));
    assert!(applied.outcomes[0].result.is_ok());
}

fn put(number: u32) -> Operation {
    let key = format!("key{number:03}").into();
    Operation::Put(PutRequest {
        key,
        value: PutValue::Set("value".into()),
        lease: PutLease::Set(LeaseId(0)),
        prev_kv: false,
    })
}

fn count(state: &State, range: KeyRange) -> u64 {
    state.reader().range(&RangeRequest { range, count_only: true, ..RangeRequest::default() }).unwrap().count
}

#[test]
fn counts_and_the_progress_of_compaction_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut state) = open(dir.path());
    let part = KeyRange { start: "key010".into(), end: RangeEnd::Before("key090".into()) };
    for number in 0..100 {
        apply(&mut state, put(number));
    }
    let deleted = KeyRange { start: "key020".into(), end: RangeEnd::Before("key050".into()) };
    apply(&mut state, Operation::DeleteRange(DeleteRangeRequest { range: deleted, prev_kv: false }));
    apply(&mut state, Operation::Compact(CompactRequest { revision: Revision(90), physical: false }));
    while state.reader().compact_step(10) {}
    let (position, groups) = (state.reader().position(), engine.counts());
    assert_eq!(state.reader().compaction_done_through(), Revision(90));
    drop((state, engine));

    let (engine, mut state) = open(dir.path());
    assert_eq!((state.reader().position(), engine.counts()), (position, groups));
    assert_eq!(state.reader().compaction_done_through(), Revision(90));
    assert_eq!((count(&state, KeyRange::all()), count(&state, part.clone())), (70, 50));
    // What follows builds on what was found.
    for number in 100..120 {
        apply(&mut state, put(number));
    }
    assert_eq!((count(&state, KeyRange::all()), count(&state, part)), (90, 50));
}
