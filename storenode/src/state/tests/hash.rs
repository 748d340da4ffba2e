//! HashKV against numbers that a real etcd 3.7.3 gave.
//!
//! They were recorded with etcdctl and `curl .../v3/maintenance/hashkv -d '{"revision":"R"}'` over this history:
//!
//! ```text
//!  put a 1                                    2      compact --physical 5
//!  put b 2                                    3      put b 7               8
//!  put a 3                                    4      compact --physical 6
//!  del b                                      5      del "" --from-key     9
//!  lease 7 granted, put --lease=7 c 4         6      compact --physical 7
//!  txn: put d 5, put e 6, del a               7      compact --physical 9
//!                                                    put z 1               10
//! ```

use std::sync::Arc;

use internal_proto::{
    AuthRevision, Command, CompactRequest, DeleteRangeRequest, Entry, Error, KeyRange, LeaseGrantRequest, LeaseId,
    Operation, PutLease, PutRequest, PutValue, Revision, Term, TxnOperation, TxnRequest,
};

use crate::engine::memory::MemoryEngine;
use crate::state::{Input, Limits, Reader, State};

fn put(key: &'static str, value: &'static str, lease: i64) -> PutRequest {
    let (value, lease) = (PutValue::Set(value.into()), PutLease::Set(LeaseId(lease)));
    PutRequest { key: key.into(), value, lease, prev_kv: false }
}

fn delete(range: KeyRange) -> DeleteRangeRequest {
    DeleteRangeRequest { range, prev_kv: false }
}

fn apply(state: &mut State, operation: Operation) {
    let command = Command { origin: None, auth: AuthRevision(1), operation };
    let index = state.reader().applied().0.next();
    let applied = state.apply(index, Term(1), Input::Commands(Entry { commands: vec![command] }));
    applied.outcomes[0].result.as_ref().unwrap();
}

fn compact(revision: i64) -> Operation {
    Operation::Compact(CompactRequest { revision: Revision(revision), physical: true })
}

/// What etcd said, as (revision asked for, hash, compacted), before the background worker begins and when it is done.
fn expect(reader: &Reader, expected: &[(i64, u32, i64)]) {
    for worked in [false, true] {
        for &(revision, hash, compacted) in expected {
            let asked = (revision != 0).then_some(Revision(revision));
            let found = reader.hash(asked).unwrap();
            assert_eq!((found.hash, found.compacted), (hash, Revision(compacted)), "at {revision}, worked: {worked}");
            assert_eq!(found.revision, asked.unwrap_or(reader.revision()));
        }
        while reader.compact_step(2) {}
    }
}

#[test]
fn hashes_are_etcds() {
    let mut state = State::open(Arc::new(MemoryEngine::new()), Limits::default()).unwrap();
    let reader = state.reader();
    expect(&reader, &[(0, 1_084_519_789, -1)]);
    apply(&mut state, Operation::Put(put("a", "1", 0)));
    apply(&mut state, Operation::Put(put("b", "2", 0)));
    apply(&mut state, Operation::Put(put("a", "3", 0)));
    apply(&mut state, Operation::DeleteRange(delete(KeyRange::single("b".into()))));
    apply(&mut state, Operation::LeaseGrant(LeaseGrantRequest { id: LeaseId(7), ttl: 1000 }));
    apply(&mut state, Operation::Put(put("c", "4", 7)));
    let success = vec![
        TxnOperation::Put(put("d", "5", 0)),
        TxnOperation::Put(put("e", "6", 0)),
        TxnOperation::DeleteRange(delete(KeyRange::single("a".into()))),
    ];
    apply(&mut state, Operation::Txn(TxnRequest { success, ..TxnRequest::default() }));
    expect(&reader, &[(0, 542_186_073, -1), (2, 2_587_454_935, -1), (3, 1_827_592_406, -1)]);
    expect(&reader, &[(4, 2_069_675_932, -1), (5, 1_125_682_900, -1), (6, 616_111_100, -1), (7, 542_186_073, -1)]);

    apply(&mut state, compact(5));
    expect(&reader, &[(0, 385_526_448, 5), (6, 4_197_886_758, 5), (7, 385_526_448, 5)]);
    assert_eq!(reader.hash(Some(Revision(4))), Err(Error::Compacted));
    assert_eq!(reader.hash(Some(Revision(99))), Err(Error::FutureRevision));

    apply(&mut state, Operation::Put(put("b", "7", 0)));
    expect(&reader, &[(0, 1_157_617_108, 5)]);
    apply(&mut state, compact(6));
    expect(&reader, &[(0, 1_157_617_108, 6), (7, 385_526_448, 6), (8, 1_157_617_108, 6)]);
    apply(&mut state, Operation::DeleteRange(delete(KeyRange::all())));
    expect(&reader, &[(0, 2_313_874_948, 6), (8, 1_157_617_108, 6), (9, 2_313_874_948, 6)]);
    apply(&mut state, compact(7));
    expect(&reader, &[(0, 3_897_544_309, 7), (8, 1_876_869_196, 7), (9, 3_897_544_309, 7)]);
    apply(&mut state, compact(9));
    expect(&reader, &[(0, 1_084_519_789, 9)]);
    apply(&mut state, Operation::Put(put("z", "1", 0)));
    expect(&reader, &[(0, 3_221_892_700, 9)]);
}
