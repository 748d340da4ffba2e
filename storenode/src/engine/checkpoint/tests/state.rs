//! A state comes back from a checkpoint as its view pinned it, whatever was applied and compacted meanwhile.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{
    AuthRevision, Command, CompactRequest, DeleteRangeRequest, Entry, KeyRange, LeaseCheckpoint, LeaseGrantRequest,
    LeaseId, LogIndex, Member, MemberId, Operation, Origin, PutLease, PutRequest, PutValue, Revision, SessionId, Term,
};

use super::super::{Checkpoint, load, write};
use super::IDENTITY;
use crate::engine::Engine;
use crate::engine::memory::MemoryEngine;
use crate::files::{Disk, Files, PowerLoss};
use crate::state::{Applied, Input, Limits, Reader, State};

const DIR: &str = "/data/checkpoint";
const TERM: Term = Term(2);
const SESSION: SessionId = SessionId(1);
const LEASE: LeaseId = LeaseId(7);

fn open(engine: Arc<dyn Engine>) -> State {
    State::open(engine, Limits::default()).unwrap()
}

fn apply(state: &mut State, input: Input) -> Applied {
    let (index, _) = state.reader().applied();
    state.apply(index.next(), TERM, input)
}

fn run(state: &mut State, origin: Option<Origin>, operation: Operation) -> Applied {
    let commands = vec![Command { origin, auth: AuthRevision(1), operation }];
    let applied = apply(state, Input::Commands(Entry { commands }));
    assert!(applied.outcomes.iter().all(|outcome| outcome.result.is_ok()), "{:?}", applied.outcomes);
    applied
}

fn put(key: &str, value: &str, lease: PutLease) -> Operation {
    let value = PutValue::Set(Bytes::copy_from_slice(value.as_bytes()));
    Operation::Put(PutRequest { key: Bytes::copy_from_slice(key.as_bytes()), value, lease, prev_kv: false })
}

fn delete(key: &'static str) -> Operation {
    Operation::DeleteRange(DeleteRangeRequest { range: KeyRange::single(Bytes::from(key)), prev_kv: false })
}

fn compact(revision: i64) -> Operation {
    Operation::Compact(CompactRequest { revision: Revision(revision), physical: false })
}

fn origin(sequence: u64) -> Option<Origin> {
    Some(Origin { session: SESSION, sequence, floor: 0 })
}

/// Everything a reader can ask for.
fn contents(reader: &Reader) -> String {
    let hashes: Vec<_> = (1..=reader.revision().0).map(|at| reader.hash(Some(Revision(at)))).collect();
    let leases: Vec<_> = reader.leases().into_iter().map(|(id, lease)| (id, lease, reader.lease_keys(id))).collect();
    let history = reader.changes(&KeyRange::all(), Revision(reader.compacted().0.max(1)), usize::MAX);
    format!(
        "{:?}\n{hashes:?}\n{leases:?}\n{history:?}\n{:?}\n{:?}",
        reader.position(),
        reader.members(),
        reader.conf_state()
    )
}

fn populated() -> State {
    let mut state = open(Arc::new(MemoryEngine::new()));
    run(&mut state, None, Operation::OpenSession);
    apply(&mut state, Input::ConfState(Bytes::from_static(b"voters")));
    run(&mut state, None, Operation::LeaseGrant(LeaseGrantRequest { id: LEASE, ttl: 60 }));
    run(&mut state, None, Operation::LeaseCheckpoint(vec![LeaseCheckpoint { id: LEASE, remaining_ttl: 40 }]));
    let member = Member { id: MemberId(0xa1), name: "infra1".into(), ..Member::default() };
    run(&mut state, None, Operation::PublishMember(member));
    for (sequence, value) in ["1", "2", "3", "4"].into_iter().enumerate() {
        run(&mut state, origin(sequence as u64 + 1), put("a", value, PutLease::Set(LeaseId(0))));
        run(&mut state, None, put("b", value, PutLease::Set(LEASE)));
        run(&mut state, None, delete("b"));
    }
    run(&mut state, None, put("c", "leased", PutLease::Set(LEASE)));
    run(&mut state, None, compact(7));
    while state.reader().compact_step(2) {}
    state
}

#[test]
fn a_state_comes_back_as_its_view_pinned_it() {
    let files = PowerLoss::new(1);
    let mut state = populated();
    let pinned = contents(&state.reader());
    let (index, term) = state.reader().applied();
    let view = state.reader().view();
    for value in ["5", "6", "7"] {
        run(&mut state, None, put("a", value, PutLease::Set(LeaseId(0))));
        run(&mut state, None, put("new", value, PutLease::Set(LEASE)));
    }
    run(&mut state, None, Operation::LeaseRevoke(LEASE));
    let current = state.reader().revision().0;
    run(&mut state, None, compact(current));
    while state.reader().compact_step(2) {}

    let written = write(&files, Path::new(DIR), IDENTITY, &view).unwrap();
    let engine = Arc::new(MemoryEngine::new());
    let loaded = load(&files, Path::new(DIR), IDENTITY, &*engine).unwrap();

    assert_eq!(written, Checkpoint { index, term, bytes: written.bytes });
    assert_eq!(loaded, Some(written));
    assert_eq!(contents(&open(engine).reader()), pinned);
}

#[test]
fn a_loaded_state_applies_the_rest_of_the_log_as_the_first_did() {
    let files = PowerLoss::new(1);
    let mut first = populated();
    write(&files, Path::new(DIR), IDENTITY, &first.reader().view()).unwrap();
    let engine = Arc::new(MemoryEngine::new());
    load(&files, Path::new(DIR), IDENTITY, &*engine).unwrap();
    let mut loaded = open(engine);

    let rest = [
        // The session remembers its answer: a write that is repeated changes nothing.
        (origin(4), put("a", "repeated", PutLease::Set(LeaseId(0)))),
        (origin(5), put("c", "again", PutLease::Keep)),
        (None, Operation::LeaseRevoke(LEASE)),
        (None, compact(15)),
    ];
    for (origin, operation) in rest {
        let applied = run(&mut first, origin, operation.clone());
        assert_eq!(run(&mut loaded, origin, operation), applied);
    }
    while first.reader().compact_step(2) {}
    while loaded.reader().compact_step(2) {}
    assert_eq!(contents(&loaded.reader()), contents(&first.reader()));
    assert_eq!(loaded.reader().applied().0, LogIndex(23));
}

/// More than one chunk, and more than is synced at once.
#[test]
fn a_large_state_comes_back_from_a_real_disk() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("member/checkpoints");
    let mut state = populated();
    let value = "v".repeat(64 << 10);
    for key in 0..600 {
        run(&mut state, None, put(&format!("large/{key}"), &value, PutLease::Set(LeaseId(0))));
    }
    let engine = Arc::new(MemoryEngine::new());
    assert_eq!(load(&Disk, &dir, IDENTITY, &*engine).unwrap(), None);
    let written = write(&Disk, &dir, IDENTITY, &state.reader().view()).unwrap();
    assert_eq!(load(&Disk, &dir, IDENTITY, &*engine).unwrap(), Some(written));
    let (found, expected) = (open(engine).reader(), state.reader());
    assert_eq!(found.position(), expected.position());
    assert_eq!(found.hash(None).unwrap(), expected.hash(None).unwrap());
    assert_eq!(Disk.list(&dir).unwrap().len(), 1);
}
