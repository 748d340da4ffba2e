//! The plainest store there can be: the whole history in a list, every question answered by going through it.

use std::collections::{BTreeMap, BTreeSet};

use internal_proto::{
    Event, EventKind, KeyRange, KeyValue, KeyValueFields, LeaseId, RangeRequest, RangeResponse, Revision,
};

use crate::state::Changes;

pub(super) type Keys = BTreeMap<Vec<u8>, KeyValue>;

/// One change: the key, and its new version; `None` deletes it.
type Change = (Vec<u8>, Option<KeyValue>);

pub(super) struct Model {
    /// The changes of each revision, from 2 on.
    history: Vec<Vec<Change>>,
    pub(super) compacted: Revision,
    pub(super) leases: BTreeSet<i64>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { history: Vec::new(), compacted: Revision(-1), leases: BTreeSet::new() }
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(1 + i64::try_from(self.history.len()).unwrap())
    }

    pub(super) fn at(&self, revision: Revision) -> Keys {
        let mut keys = Keys::new();
        let revisions = usize::try_from(revision.0 - 1).unwrap_or(0);
        for (key, kv) in self.history.iter().take(revisions).flatten() {
            match kv {
                Some(kv) => drop(keys.insert(key.clone(), kv.clone())),
                None => drop(keys.remove(key)),
            }
        }
        keys
    }

    pub(super) fn now(&self) -> Keys {
        self.at(self.revision())
    }

    /// Makes one revision of puts (key, value, lease) and deletions; none if there is nothing to do.
    pub(super) fn change(&mut self, puts: &[(Vec<u8>, Vec<u8>, i64)], deletes: &[KeyRange]) {
        let (mut keys, revision) = (self.now(), self.revision().next());
        let mut changes: Vec<Change> = Vec::new();
        for (key, value, lease) in puts {
            let (create_revision, version) = keys.get(key).map_or((revision, 0), |kv| {
                let fields = kv.fields();
                (fields.create_revision, fields.version)
            });
            let (mod_revision, version, lease) = (revision, version + 1, LeaseId(*lease));
            let kv = KeyValue::new(&KeyValueFields { key, create_revision, mod_revision, version, value, lease });
            keys.insert(key.clone(), kv.clone());
            changes.push((key.clone(), Some(kv)));
        }
        for range in deletes {
            let doomed: Vec<_> = keys.keys().filter(|key| range.contains(key)).cloned().collect();
            for key in doomed {
                keys.remove(&key);
                changes.push((key, None));
            }
        }
        if !changes.is_empty() {
            self.history.push(changes);
        }
    }

    pub(super) fn leased(&self, lease: i64) -> Vec<Vec<u8>> {
        self.now().into_iter().filter(|(_, kv)| kv.fields().lease.0 == lease).map(|(key, _)| key).collect()
    }

    /// Answers a range without sort and filter.
    pub(super) fn range(&self, request: &RangeRequest) -> RangeResponse {
        let keys = self.at(request.revision.unwrap_or(self.revision()));
        let mut kvs: Vec<_> =
            keys.into_iter().filter(|(key, _)| request.range.contains(key)).map(|(_, kv)| kv).collect();
        let count = kvs.len() as u64;
        let limit = if request.limit == 0 { usize::MAX } else { request.limit.try_into().unwrap() };
        let more = !request.count_only && kvs.len() > limit;
        kvs.truncate(if request.count_only { 0 } else { limit });
        RangeResponse { revision: self.revision(), kvs, more, count }
    }

    /// The changes in a range from a revision on, with the versions before them as far as they can still be read.
    pub(super) fn changes(&self, range: &KeyRange, from: Revision) -> Vec<Changes> {
        let mut found = Vec::new();
        for (at, changes) in self.history.iter().enumerate() {
            let revision = Revision(2 + i64::try_from(at).unwrap());
            let before = Revision(revision.0 - 1);
            let old = if before >= self.compacted { self.at(before) } else { Keys::new() };
            let events: Vec<_> = changes
                .iter()
                .filter(|(key, _)| range.contains(key))
                .map(|(key, kv)| event(key, kv.as_ref(), revision, old.get(key)))
                .collect();
            if revision >= from && !events.is_empty() {
                found.push(Changes { revision, events });
            }
        }
        found
    }

    /// HashKV as etcd computes it once its compaction is done.
    pub(super) fn hash(&self, revision: Revision) -> u32 {
        let ids = |keys: &Keys| keys.values().map(|kv| (kv.key().to_vec(), kv.mod_revision())).collect::<BTreeSet<_>>();
        let kept = ids(&self.at(revision));
        let retained = ids(&self.at(self.compacted));
        let mut bytes = b"key".to_vec();
        for (at, changes) in self.history.iter().enumerate() {
            let main = Revision(2 + i64::try_from(at).unwrap());
            for (sub, (key, kv)) in changes.iter().enumerate() {
                let id = (key.clone(), main);
                let old = main <= self.compacted;
                let gone = old && !retained.contains(&id);
                let filtered = old && !kept.is_empty() && !kept.contains(&id);
                if main <= revision && !gone && !filtered {
                    append(&mut bytes, main, sub as u64, key, kv.as_ref());
                }
            }
        }
        crc32c::crc32c(&bytes)
    }
}

fn event(key: &[u8], kv: Option<&KeyValue>, revision: Revision, before: Option<&KeyValue>) -> Event {
    let tombstone = || KeyValue::new(&KeyValueFields { key, mod_revision: revision, ..KeyValueFields::default() });
    let kind = if kv.is_some() { EventKind::Put } else { EventKind::Delete };
    Event { kind, kv: kv.cloned().unwrap_or_else(tombstone), prev_kv: before.cloned() }
}

fn append(bytes: &mut Vec<u8>, main: Revision, sub: u64, key: &[u8], kv: Option<&KeyValue>) {
    bytes.extend(main.0.to_be_bytes());
    bytes.push(b'_');
    bytes.extend(sub.to_be_bytes());
    match kv {
        Some(kv) => bytes.extend(kv.encoded()),
        None => {
            bytes.push(b't');
            bytes.extend(KeyValue::new(&KeyValueFields { key, ..KeyValueFields::default() }).encoded());
        }
    }
}
