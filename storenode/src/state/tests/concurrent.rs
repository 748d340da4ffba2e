//! Readers beside a writer and the compaction worker: every read sees one whole revision.
//!
//! Each write moves one key to another name, so that every revision has the same number of keys and the same sum of
//! their values, while keys appear and disappear all over the range.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use internal_proto::{
    AuthRevision, Command, CompactRequest, DeleteRangeRequest, Entry, Error, KeyRange, LeaseId, Operation, PutLease,
    PutRequest, PutValue, RangeRequest, RangeResponse, Revision, Term, TxnOperation, TxnRequest,
};

use crate::engine::Engine;
use crate::engine::memory::MemoryEngine;
use crate::engine::rocksdb::RocksEngine;
use crate::state::{Input, Limits, Reader, State};

const KEYS: usize = 60;
const WRITES: usize = 1_500;

fn put(name: usize, value: usize) -> TxnOperation {
    TxnOperation::Put(PutRequest {
        key: format!("k{name:05}").into(),
        value: PutValue::Set(value.to_string().into()),
        lease: PutLease::Set(LeaseId(0)),
        prev_kv: false,
    })
}

fn delete(name: usize) -> TxnOperation {
    let range = KeyRange::single(format!("k{name:05}").into());
    TxnOperation::DeleteRange(DeleteRangeRequest { range, prev_kv: false })
}

fn apply(state: &mut State, operation: Operation) {
    let command = Command { origin: None, auth: AuthRevision(1), operation };
    let index = state.reader().applied().0.next();
    let applied = state.apply(index, Term(1), Input::Commands(Entry { commands: vec![command] }));
    applied.outcomes[0].result.as_ref().unwrap();
}

fn move_keys(state: &mut State) {
    let mut names: Vec<usize> = (0..KEYS).map(|key| key * 100).collect();
    let success = names.iter().enumerate().map(|(value, &name)| put(name, value)).collect();
    apply(state, Operation::Txn(TxnRequest { success, ..TxnRequest::default() }));
    for write in 1..=WRITES {
        let value = write * 37 % KEYS;
        let (old, new) = (names[value], write * 7_919 % 100_000 / 100 * 100 + value + 1);
        if names.contains(&new) {
            continue;
        }
        names[value] = new;
        let success = vec![delete(old), put(new, value)];
        apply(state, Operation::Txn(TxnRequest { success, ..TxnRequest::default() }));
        if write % 20 == 0 {
            // More changes than the engine makes visible at once.
            let all = names.iter_mut().enumerate().flat_map(|(value, name)| {
                let old = *name;
                *name = (old / 100 + 500) % 1_000 * 100 + value + 1;
                [delete(old), put(*name, value)]
            });
            let all: Vec<_> = all.collect();
            apply(state, Operation::Txn(TxnRequest { success: all, ..TxnRequest::default() }));
        }
        if write % 50 == 0 {
            let revision = Revision(state.reader().revision().0 - 20);
            apply(state, Operation::Compact(CompactRequest { revision, physical: false }));
        }
    }
}

fn check(range: &RangeResponse) {
    let value = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().parse::<usize>().unwrap();
    assert_eq!((range.kvs.len(), range.count), (KEYS, KEYS as u64), "at {}", range.revision);
    let sum: usize = range.kvs.iter().map(|kv| value(kv.fields().value)).sum();
    assert_eq!(sum, KEYS * (KEYS - 1) / 2, "at {}", range.revision);
    assert!(range.kvs.windows(2).all(|pair| pair[0].key() < pair[1].key()), "in key order");
}

fn read(reader: &Reader, over: &AtomicBool) -> usize {
    let all = RangeRequest { range: KeyRange::all(), ..RangeRequest::default() };
    let mut reads = 0;
    while !over.load(Ordering::Relaxed) {
        let now = reader.range(&all).unwrap();
        if now.revision == Revision::EMPTY_STORE {
            continue;
        }
        check(&now);
        let count = reader.range(&RangeRequest { count_only: true, ..all.clone() }).unwrap();
        assert_eq!(count.count, KEYS as u64, "counted at {}", count.revision);
        for below in [0, 3, 15] {
            let revision = Some(Revision((now.revision.0 - below).max(2)));
            match reader.range(&RangeRequest { revision, ..all.clone() }) {
                Ok(then) => check(&then),
                Err(error) => assert_eq!(error, Error::Compacted),
            }
        }
        reads += 1;
    }
    reads
}

#[test]
fn every_read_sees_one_whole_revision() {
    read_beside_writes(Arc::new(MemoryEngine::new()));
}

#[test]
fn every_read_from_disk_sees_one_whole_revision() {
    read_beside_writes(Arc::new(RocksEngine::ephemeral()));
}

fn read_beside_writes(engine: Arc<dyn Engine>) {
    let mut state = State::open(engine, Limits::default()).unwrap();
    let reader = state.reader();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(|| read(&reader, &over))).collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if !reader.compact_step(5) {
                    thread::yield_now();
                }
            }
        });
        move_keys(&mut state);
        over.store(true, Ordering::Relaxed);
        let reads: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(reads > 0, "the readers ran beside the writer");
    });
}
