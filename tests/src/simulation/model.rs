//! What a store has to be after a list of commands, in the plainest form: the judge of a single node's answers.
//!
//! ```text
//!   Operation ──► Model::apply ──► the only right answer
//!   State     ──► Model::compare ──► equal, or what differs
//! ```
//!
//! It knows of one key's version at a time and of all events ever; compaction hides the older ones.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use internal_proto::{
    CompactRequest, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, Error, Event,
    EventKind, KeyValue, KeyValueFields, LeaseGrantResponse, LeaseId, Operation, PutLease, PutRequest, PutResponse,
    PutValue, RangeResponse, Response, Revision, TxnOperation, TxnOperationResponse, TxnRequest, TxnResponse,
};

use super::machine::ELECTION;

/// A lease and when its leader ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Seconds granted.
    pub ttl: i64,
    /// On the machine's clock.
    pub ends: Duration,
}

/// The right state.
#[derive(Clone, Debug)]
pub struct Model {
    /// The current revision.
    pub revision: Revision,
    /// The compacted revision; -1 if never compacted.
    pub compacted: Revision,
    /// The live keys.
    pub keys: BTreeMap<Bytes, KeyValue>,
    /// The leases.
    pub leases: BTreeMap<LeaseId, Lease>,
    /// Every event ever, by revision.
    pub history: BTreeMap<Revision, Vec<Event>>,
    /// The events of the command under way.
    events: Vec<Event>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            revision: Revision::EMPTY_STORE,
            compacted: Revision(-1),
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            history: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

impl Model {
    /// Applies one command at a time of the machine's clock: its answer and the revision after it.
    ///
    /// # Panics
    /// At an operation that no workload here makes.
    pub fn apply(&mut self, operation: &Operation, now: Duration) -> (Result<Response, Error>, Revision) {
        let result = match operation {
            Operation::Put(put) => self.check_put(put).map(|()| Response::Put(self.put(put))),
            Operation::DeleteRange(delete) => Ok(Response::DeleteRange(self.delete_range(delete))),
            Operation::Txn(txn) => self.txn(txn).map(Response::Txn),
            Operation::Compact(compact) => self.compact(*compact).map(|()| Response::Compact),
            Operation::LeaseGrant(grant) if self.leases.contains_key(&grant.id) => Err(Error::LeaseExists),
            Operation::LeaseGrant(grant) => {
                let ends = now + Duration::from_secs(grant.ttl.unsigned_abs());
                self.leases.insert(grant.id, Lease { ttl: grant.ttl, ends });
                Ok(Response::LeaseGrant(LeaseGrantResponse { id: grant.id, ttl: grant.ttl }))
            }
            Operation::LeaseRevoke(id) => self.revoke(*id).map(|()| Response::LeaseRevoke),
            other => unreachable!("no workload makes {other:?}"),
        };
        if !self.events.is_empty() {
            self.revision = self.revision.next();
            self.history.insert(self.revision, std::mem::take(&mut self.events));
        }
        (result, self.revision)
    }

    /// A leader has taken over: every lease has its time again, and some more.
    pub fn restart_deadlines(&mut self, now: Duration) {
        for lease in self.leases.values_mut() {
            lease.ends = now + Duration::from_secs(lease.ttl.unsigned_abs()) + ELECTION;
        }
    }

    /// A client keeps a lease alive; the seconds it has again.
    pub fn keep_alive(&mut self, id: LeaseId, now: Duration) -> i64 {
        let Some(lease) = self.leases.get_mut(&id) else { return 0 };
        lease.ends = now + Duration::from_secs(lease.ttl.unsigned_abs());
        lease.ttl
    }

    /// What the leader proposes by itself at this time.
    #[must_use]
    pub fn expired(&self, now: Duration) -> Vec<Operation> {
        let mut over: Vec<_> = self.leases.iter().filter(|(_, lease)| lease.ends <= now).collect();
        over.sort_unstable_by_key(|(id, lease)| (lease.ends, **id));
        over.into_iter().map(|(id, _)| Operation::LeaseRevoke(*id)).collect()
    }

    /// The keys attached to a lease.
    #[must_use]
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Bytes> {
        self.keys.iter().filter(|(_, kv)| kv.fields().lease == id).map(|(key, _)| key.clone()).collect()
    }

    /// The events above the compacted revision, as a watcher that catches up sees them.
    #[must_use]
    pub fn readable_history(&self) -> Vec<(Revision, Vec<Event>)> {
        let readable = self.history.range(self.compacted.next()..);
        readable.map(|(revision, events)| (*revision, events.clone())).collect()
    }

    fn current(&self) -> Revision {
        if self.events.is_empty() { self.revision } else { self.revision.next() }
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), Error> {
        if let PutLease::Set(id) = put.lease
            && id != LeaseId(0)
            && !self.leases.contains_key(&id)
        {
            return Err(Error::LeaseNotFound);
        }
        let keeps = put.value == PutValue::Keep || put.lease == PutLease::Keep;
        if keeps && !self.keys.contains_key(&put.key) { Err(Error::KeyNotFound) } else { Ok(()) }
    }

    fn put(&mut self, put: &PutRequest) -> PutResponse {
        let revision = self.revision.next();
        let old = self.keys.get(&put.key).cloned();
        let before = old.as_ref().map(KeyValue::fields);
        let kv = KeyValue::new(&KeyValueFields {
            key: &put.key,
            create_revision: before.map_or(revision, |before| before.create_revision),
            mod_revision: revision,
            version: before.map_or(0, |before| before.version) + 1,
            value: match &put.value {
                PutValue::Set(value) => value,
                PutValue::Keep => before.map_or(&[], |before| before.value),
            },
            lease: match put.lease {
                PutLease::Set(id) => id,
                PutLease::Keep => before.map_or(LeaseId(0), |before| before.lease),
            },
        });
        self.keys.insert(put.key.clone(), kv.clone());
        let prev_kv = old.clone().filter(|_| put.prev_kv);
        self.events.push(Event { kind: EventKind::Put, kv, prev_kv: old });
        PutResponse { revision, prev_kv }
    }

    fn delete_range(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let keys: Vec<Bytes> = self.keys.keys().filter(|key| delete.range.contains(key)).cloned().collect();
        let gone: Vec<KeyValue> = keys.iter().filter_map(|key| self.delete(key)).collect();
        let prev_kvs = if delete.prev_kv { gone } else { Vec::new() };
        DeleteRangeResponse { revision: self.current(), deleted: keys.len() as u64, prev_kvs }
    }

    fn delete(&mut self, key: &Bytes) -> Option<KeyValue> {
        let old = self.keys.remove(key)?;
        let mod_revision = self.revision.next();
        let kv = KeyValue::new(&KeyValueFields { key, mod_revision, ..KeyValueFields::default() });
        self.events.push(Event { kind: EventKind::Delete, kv, prev_kv: Some(old.clone()) });
        Some(old)
    }

    fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, Error> {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare));
        let taken = if succeeded { &txn.success } else { &txn.failure };
        for operation in taken {
            if let TxnOperation::Put(put) = operation {
                self.check_put(put)?;
            }
        }
        let responses = taken.iter().map(|operation| self.step(operation)).collect();
        Ok(TxnResponse { revision: self.current(), succeeded, responses })
    }

    fn step(&mut self, operation: &TxnOperation) -> TxnOperationResponse {
        match operation {
            TxnOperation::Put(put) => TxnOperationResponse::Put(self.put(put)),
            TxnOperation::DeleteRange(delete) => TxnOperationResponse::DeleteRange(self.delete_range(delete)),
            TxnOperation::Range(range) => {
                let found = self.keys.iter().filter(|(key, _)| range.range.contains(key));
                let kvs: Vec<KeyValue> = found.map(|(_, kv)| kv.clone()).collect();
                let (revision, count) = (self.current(), kvs.len() as u64);
                TxnOperationResponse::Range(RangeResponse { revision, kvs, more: false, count })
            }
            TxnOperation::Txn(_) => unreachable!("no workload nests transactions"),
        }
    }

    /// Comparisons of one key for equality.
    fn holds(&self, compare: &Compare) -> bool {
        let stored = self.keys.get(&compare.range.start);
        let fields = stored.map(KeyValue::fields).unwrap_or_default();
        let equal = match &compare.target {
            CompareTarget::Version(version) => fields.version == *version,
            CompareTarget::Create(revision) => fields.create_revision == *revision,
            CompareTarget::Mod(revision) => fields.mod_revision == *revision,
            // No comparison of values holds for a key that is not there.
            CompareTarget::Value(_) if stored.is_none() => return false,
            CompareTarget::Value(value) => fields.value == *value,
            CompareTarget::Lease(id) => fields.lease == *id,
            CompareTarget::Unknown => unreachable!("no workload compares unknown targets"),
        };
        equal == (compare.operator == CompareOperator::Equal)
    }

    fn compact(&mut self, compact: CompactRequest) -> Result<(), Error> {
        if compact.revision <= self.compacted {
            return Err(Error::Compacted);
        }
        if compact.revision > self.revision {
            return Err(Error::FutureRevision);
        }
        self.compacted = compact.revision;
        Ok(())
    }

    fn revoke(&mut self, id: LeaseId) -> Result<(), Error> {
        if !self.leases.contains_key(&id) {
            return Err(Error::LeaseNotFound);
        }
        for key in self.lease_keys(id) {
            self.delete(&key);
        }
        self.leases.remove(&id);
        Ok(())
    }
}
