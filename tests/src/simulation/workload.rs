//! Random commands for one node: every kind of write, most of them successful, some refused.

use bytes::Bytes;
use internal_proto::{
    CompactRequest, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange, LeaseGrantRequest, LeaseId,
    Operation, PutLease, PutRequest, PutValue, RangeEnd, RangeRequest, Revision, TxnOperation, TxnRequest,
};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom as _;

use super::model::Model;

/// Few enough that keys are overwritten, deleted and created again.
const KEYS: u32 = 24;
/// Makes some values span sectors of the disk.
const MAX_PADDING: usize = 400;

/// Makes commands that fit a state.
pub struct Workload {
    values: u64,
    leases: i64,
}

impl Default for Workload {
    /// The first value and lease have number 1.
    fn default() -> Self {
        Self { values: 0, leases: 0 }
    }
}

impl Workload {
    /// A command that makes sense after `model`, or nearly so.
    pub fn operation(&mut self, random: &mut SmallRng, model: &Model) -> Operation {
        match random.random_range(0..100) {
            0..50 => Operation::Put(self.put(random, model)),
            50..60 => Operation::DeleteRange(delete(random)),
            60..82 => Operation::Txn(self.txn(random, model)),
            82..90 => Operation::LeaseGrant(self.grant(random)),
            90..95 => Operation::LeaseRevoke(lease(random, model)),
            _ => Operation::Compact(compact(random, model)),
        }
    }

    /// A put of a value that no other has.
    pub fn put(&mut self, random: &mut SmallRng, model: &Model) -> PutRequest {
        self.values += 1;
        let padding = random.random_range(0..MAX_PADDING);
        let value = PutValue::Set(Bytes::from(format!("v{}{:padding$}", self.values, "")));
        let lease = match random.random_range(0..10) {
            0..3 => PutLease::Set(lease(random, model)),
            3 => PutLease::Keep,
            _ => PutLease::Set(LeaseId(0)),
        };
        let value = if random.random_bool(0.05) { PutValue::Keep } else { value };
        PutRequest { key: key(random), value, lease, prev_kv: random.random() }
    }

    fn grant(&mut self, random: &mut SmallRng) -> LeaseGrantRequest {
        if self.leases == 0 || random.random_bool(0.95) {
            self.leases += 1;
        }
        let ttl = if random.random() { random.random_range(2..20) } else { 100_000 };
        LeaseGrantRequest { id: LeaseId(self.leases), ttl }
    }

    /// Every operation of a branch has a key of its own, as the protocol demands.
    fn txn(&mut self, random: &mut SmallRng, model: &Model) -> TxnRequest {
        let compare = (0..random.random_range(0..3)).map(|_| compare(random, model)).collect();
        let mut branch = || {
            let keys = (0..KEYS).choose_multiple(random, 3);
            let steps = keys.into_iter().map(|number| {
                let key = numbered(number);
                match random.random_range(0..10) {
                    0..7 => TxnOperation::Put(PutRequest { key, ..self.put(random, model) }),
                    7..9 => {
                        TxnOperation::DeleteRange(DeleteRangeRequest { range: KeyRange::single(key), prev_kv: true })
                    }
                    _ => TxnOperation::Range(RangeRequest { range: KeyRange::single(key), ..RangeRequest::default() }),
                }
            });
            steps.collect()
        };
        TxnRequest { compare, success: branch(), failure: branch() }
    }
}

fn numbered(number: u32) -> Bytes {
    Bytes::from(format!("k{number:02}"))
}

fn key(random: &mut SmallRng) -> Bytes {
    numbered(random.random_range(0..KEYS))
}

fn delete(random: &mut SmallRng) -> DeleteRangeRequest {
    let end = if random.random_bool(0.7) { RangeEnd::Single } else { RangeEnd::Before(key(random)) };
    DeleteRangeRequest { range: KeyRange { start: key(random), end }, prev_kv: random.random() }
}

/// One that exists, mostly.
fn lease(random: &mut SmallRng, model: &Model) -> LeaseId {
    let known = model.leases.keys().copied().choose(random);
    known.filter(|_| random.random_bool(0.95)).unwrap_or(LeaseId(i64::MAX))
}

/// One that holds, mostly.
fn compare(random: &mut SmallRng, model: &Model) -> Compare {
    let key = key(random);
    let fields = model.keys.get(&key).map(internal_proto::KeyValue::fields).unwrap_or_default();
    let target = match random.random_range(0..4) {
        0 => CompareTarget::Version(fields.version),
        1 => CompareTarget::Mod(fields.mod_revision),
        2 => CompareTarget::Create(fields.create_revision),
        _ => CompareTarget::Value(Bytes::copy_from_slice(fields.value)),
    };
    let operator = if random.random_bool(0.8) { CompareOperator::Equal } else { CompareOperator::NotEqual };
    Compare { range: KeyRange::single(key), operator, target }
}

/// Leaves some history most of the time; now and then out of bounds.
fn compact(random: &mut SmallRng, model: &Model) -> CompactRequest {
    let (low, high) = (model.compacted.0.max(0), model.revision.0);
    let revision = random.random_range(low..=high + 1).min(random.random_range(low..=high + 1));
    CompactRequest { revision: Revision(revision), physical: random.random() }
}
