//! Putting and deleting keys: the only place that makes versions.
//!
//! ```text
//!  put     create  version       delete            put again
//!          first   + 1 each      a tombstone       create anew, version 1
//! ```
//!
//! Invariants: a put either creates its key (`create_revision = mod_revision`, version 1) or adds one to its version;
//! whatever can refuse it was checked before; a key is in the list of exactly the lease that its version names.

use bytes::Bytes;
use internal_proto::{
    DeleteRangeRequest, DeleteRangeResponse, Event, EventKind, KeyValue, KeyValueFields, LeaseId, PutLease, PutRequest,
    PutResponse, PutValue,
};

use crate::engine::{ChangeId, NewVersion, SmallKey, Version};
use crate::state::workspace::Workspace;

impl Workspace<'_> {
    /// Puts one key.
    pub(crate) fn put(&mut self, request: &PutRequest) -> PutResponse {
        let previous = self.keys().get(&request.key);
        let old = previous.as_ref().map(|version| version.kv.fields());
        let id = self.next_id();
        // etcd checks a kept value or lease before the transaction; a delete within it can still take the key away.
        let value = match &request.value {
            PutValue::Set(value) => value,
            PutValue::Keep => old.as_ref().map_or(&[][..], |old| old.value),
        };
        let old_lease = old.as_ref().map_or(LeaseId(0), |old| old.lease);
        let lease = match request.lease {
            PutLease::Set(lease) => lease,
            PutLease::Keep => old_lease,
        };
        let kv = KeyValue::new(&KeyValueFields {
            key: &request.key,
            create_revision: old.as_ref().map_or(id.revision, |old| old.create_revision),
            mod_revision: id.revision,
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            value,
            lease,
        });
        if lease != old_lease {
            self.detach(old_lease, &request.key);
            self.attach(lease, &request.key);
        }
        let prev_kv = request.prev_kv.then(|| previous.as_ref().map(|version| version.kv.clone())).flatten();
        let event = Event { kind: EventKind::Put, kv: kv.clone(), prev_kv: self.before_command(previous.as_ref()) };
        self.record(NewVersion { version: Version { id, kv }, previous }, event);
        PutResponse { revision: id.revision, prev_kv }
    }

    /// Deletes a range.
    pub(crate) fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let versions = self.keys().range(&request.range, None);
        let deleted = versions.len() as u64;
        let prev_kvs =
            if request.prev_kv { versions.iter().map(|version| version.kv.clone()).collect() } else { vec![] };
        for version in versions {
            self.delete(version);
        }
        DeleteRangeResponse { revision: self.current(), deleted, prev_kvs }
    }

    /// Deletes a key, given its current version.
    pub(crate) fn delete(&mut self, previous: Version) {
        let fields = previous.kv.fields();
        let tombstone = Version::tombstone(fields.key, self.next_id());
        self.detach(fields.lease, fields.key);
        let prev_kv = self.before_command(Some(&previous));
        let event = Event { kind: EventKind::Delete, kv: tombstone.kv.clone(), prev_kv };
        self.record(NewVersion { version: tombstone, previous: Some(previous) }, event);
    }

    fn next_id(&self) -> ChangeId {
        let sub = u32::try_from(self.changed()).expect("a command changes fewer keys than memory could hold");
        ChangeId { revision: self.position.revision.next(), sub }
    }

    fn attach(&mut self, lease: LeaseId, key: &[u8]) {
        if lease != LeaseId(0) {
            self.set_small(SmallKey::LeaseKey(lease, Bytes::copy_from_slice(key)), Some(Bytes::new()));
        }
    }

    fn detach(&mut self, lease: LeaseId, key: &[u8]) {
        if lease != LeaseId(0) {
            self.set_small(SmallKey::LeaseKey(lease, Bytes::copy_from_slice(key)), None);
        }
    }
}
