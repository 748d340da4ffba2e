//! Random histories: the state on two engines against the model, at every revision that can be read, with compaction
//! at work, views held and restarts in between.

use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{
    AuthRevision, Command, CompactRequest, DeleteRangeRequest, Entry, Error, KeyRange, LeaseGrantRequest, LeaseId,
    Operation, PutLease, PutRequest, PutValue, RangeEnd, RangeRequest, Revision, Term, TxnOperation, TxnRequest,
};
use proptest::prelude::*;

use super::model::Model;
use crate::engine::loading::Loading;
use crate::engine::memory::MemoryEngine;
use crate::engine::mirror::MirrorEngine;
use crate::engine::rocksdb::RocksEngine;
use crate::engine::{ChangeId, Version};
use crate::state::{Changes, Input, Limits, Reader, State, View};

/// One write, in terms that model and state both understand.
#[derive(Clone, Debug)]
enum Write {
    Put(Vec<u8>, u8, i64),
    Delete(KeyRange),
    /// Puts of distinct keys, then deletions that spare them.
    Txn(Vec<(Vec<u8>, u8)>, KeyRange),
    Grant(i64),
    Revoke(i64),
    /// Compacts so many revisions below the current one.
    Compact(i64),
}

#[derive(Clone, Debug)]
enum Step {
    Entry(Vec<Write>),
    Work(usize),
    View,
    DropView,
    Restart,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    (0_u8..30).prop_map(|number| format!("k{number:02}").into_bytes())
}

fn range() -> impl Strategy<Value = KeyRange> {
    (key(), key(), 0..6).prop_map(|(start, end, kind)| match kind {
        0 => KeyRange::single(start.into()),
        1 => KeyRange { start: start.into(), end: RangeEnd::Unbounded },
        _ => KeyRange { start: start.into(), end: RangeEnd::Before(end.into()) },
    })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        8 => (key(), any::<u8>(), 0_i64..3).prop_map(|(key, value, lease)| Write::Put(key, value, lease)),
        2 => key().prop_map(|key| Write::Delete(KeyRange::single(key.into()))),
        1 => range().prop_map(Write::Delete),
        2 => (proptest::collection::btree_map(key(), any::<u8>(), 0..6), range())
            .prop_map(|(puts, range)| Write::Txn(puts.into_iter().collect(), range)),
        1 => (1_i64..3).prop_map(Write::Grant),
        1 => (1_i64..3).prop_map(Write::Revoke),
        1 => (0_i64..12).prop_map(Write::Compact),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => proptest::collection::vec(write(), 1..4).prop_map(Step::Entry),
        6 => (1_usize..7).prop_map(Step::Work),
        1 => Just(Step::View),
        1 => Just(Step::DropView),
        1 => Just(Step::Restart),
    ]
}

struct Run {
    state: State,
    model: Model,
    views: Vec<(View, Vec<Version>)>,
}

fn everything(view: &View) -> Vec<Version> {
    let mut all: Vec<Version> = Vec::new();
    loop {
        let next = view.versions(all.last().map_or(ChangeId::default(), |version| version.id), 5);
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

impl Run {
    fn new() -> Self {
        let engine = MirrorEngine::new(MemoryEngine::new(), RocksEngine::ephemeral());
        let state = State::open(Arc::new(engine), Limits::default()).unwrap();
        Self { state, model: Model::new(), views: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Entry(writes) => self.entry(writes),
            Step::Work(budget) => drop(self.state.reader().compact_step(budget)),
            Step::View => {
                let view = self.state.reader().view();
                let all = everything(&view);
                self.views.push((view, all));
            }
            Step::DropView => {
                if let Some((view, all)) = self.views.pop() {
                    assert_eq!(everything(&view), all, "a view changed while it was held");
                }
            }
            Step::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        let view = self.state.reader().view();
        let engine = Arc::new(MirrorEngine::new(MemoryEngine::new(), RocksEngine::ephemeral()));
        let mut loading = Loading::new(&*engine);
        loading.versions(everything(&view));
        loading.small_records(view.small_records().to_vec());
        loading.finish(view.position());
        self.views.clear();
        self.state = State::open(engine, Limits::default()).unwrap();
    }

    fn entry(&mut self, writes: Vec<Write>) {
        let before = self.model.revision();
        let mut commands = Vec::new();
        for write in writes {
            let operation = self.model_write(write);
            commands.push(Command { origin: None, auth: AuthRevision(1), operation });
        }
        let index = self.state.reader().applied().0.next();
        let applied = self.state.apply(index, Term(1), Input::Commands(Entry { commands }));
        assert_eq!(applied.outcomes.last().unwrap().revision, self.model.revision());
        assert_eq!(applied.changes, with_all_previous(&self.model, before.next()));
    }

    /// Does a write in the model; gives the command that does it in the state.
    fn model_write(&mut self, write: Write) -> Operation {
        match write {
            Write::Put(key, value, lease) => {
                if lease == 0 || self.model.leases.contains(&lease) {
                    self.model.change(&[(key.clone(), vec![value], lease)], &[]);
                }
                Operation::Put(put(key, value, lease))
            }
            Write::Delete(range) => {
                self.model.change(&[], std::slice::from_ref(&range));
                Operation::DeleteRange(DeleteRangeRequest { range, prev_kv: false })
            }
            Write::Txn(puts, range) => {
                let puts: Vec<_> = puts.into_iter().filter(|(key, _)| !range.contains(key)).collect();
                let changes: Vec<_> = puts.iter().map(|(key, value)| (key.clone(), vec![*value], 0)).collect();
                self.model.change(&changes, std::slice::from_ref(&range));
                let puts = puts.into_iter().map(|(key, value)| TxnOperation::Put(put(key, value, 0)));
                let delete = TxnOperation::DeleteRange(DeleteRangeRequest { range, prev_kv: false });
                Operation::Txn(TxnRequest { success: puts.chain([delete]).collect(), ..TxnRequest::default() })
            }
            Write::Grant(id) => {
                self.model.leases.insert(id);
                Operation::LeaseGrant(LeaseGrantRequest { id: LeaseId(id), ttl: 10 })
            }
            Write::Revoke(id) => {
                if self.model.leases.remove(&id) {
                    let keys: Vec<_> =
                        self.model.leased(id).into_iter().map(|key| KeyRange::single(key.into())).collect();
                    self.model.change(&[], &keys);
                }
                Operation::LeaseRevoke(LeaseId(id))
            }
            Write::Compact(below) => {
                let revision = Revision(self.model.revision().0 - below);
                self.model.compacted = self.model.compacted.max(revision);
                Operation::Compact(CompactRequest { revision, physical: false })
            }
        }
    }

    /// The groups that the engine keeps for the next start are those of its keys.
    fn check_counts(&self) {
        let engine = &self.state.shared.engine;
        let groups = engine.counts().unwrap();
        let mut ends = groups.iter().skip(1).map(|group| RangeEnd::Before(group.bound.clone()));
        for group in &groups {
            let range = KeyRange { start: group.bound.clone(), end: ends.next().unwrap_or(RangeEnd::Unbounded) };
            let keys = engine.scan_live(&range, usize::MAX).len();
            assert_eq!(group.count, Some(keys as u64), "from {:?}", group.bound);
        }
    }

    fn check(&self) {
        self.check_counts();
        let (reader, model) = (self.state.reader(), &self.model);
        assert_eq!((reader.revision(), reader.compacted()), (model.revision(), model.compacted));
        for at in model.compacted.0.max(1)..=model.revision().0 {
            check_revision(&reader, model, Revision(at));
        }
        for lease in 1..3 {
            assert_eq!(reader.lease_keys(LeaseId(lease)), model.leased(lease));
        }
        if model.compacted.0 > 1 {
            let below = Some(Revision(model.compacted.0 - 1));
            let request = RangeRequest { range: KeyRange::all(), revision: below, ..RangeRequest::default() };
            assert_eq!(reader.range(&request), Err(Error::Compacted));
        }
    }
}

fn put(key: Vec<u8>, value: u8, lease: i64) -> PutRequest {
    let (value, lease) = (PutValue::Set(Bytes::from(vec![value])), PutLease::Set(LeaseId(lease)));
    PutRequest { key: key.into(), value, lease, prev_kv: false }
}

/// The model's changes with every previous version, as apply gives them.
fn with_all_previous(model: &Model, from: Revision) -> Vec<Changes> {
    let mut changes = model.changes(&KeyRange::all(), from);
    for Changes { revision, events } in &mut changes {
        let old = model.at(Revision(revision.0 - 1));
        for event in events {
            event.prev_kv = old.get(event.kv.key()).cloned();
        }
    }
    changes
}

fn check_revision(reader: &Reader, model: &Model, at: Revision) {
    let part = KeyRange { start: "k05".into(), end: RangeEnd::Before("k22".into()) };
    for range in [KeyRange::all(), part, KeyRange::single("k07".into())] {
        for (limit, count_only) in [(0, false), (1, false), (6, false), (0, true)] {
            let range = range.clone();
            let request = RangeRequest { range, revision: Some(at), limit, count_only, ..RangeRequest::default() };
            assert_eq!(reader.range(&request).unwrap(), model.range(&request), "{request:?}");
        }
        let mut found = Vec::new();
        let mut from = at;
        while from <= model.revision() {
            let page = reader.changes(&range, from, 40).unwrap();
            found.extend(page.changes);
            from = page.through.next();
        }
        assert_eq!(found, model.changes(&range, at), "changes from {at}");
    }
    assert_eq!(reader.hash(Some(at)).unwrap().hash, model.hash(at), "hash at {at}, compacted {}", model.compacted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_state_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for (number, step) in steps.into_iter().enumerate() {
            run.step(step);
            if number % 8 == 7 {
                run.check();
            }
        }
        run.check();
        run.views.clear();
        while run.state.reader().compact_step(3) {}
        prop_assert_eq!(run.state.reader().compaction_done_through(), run.model.compacted);
        run.check();
    }
}
