//! An engine over one ordered map of bytes: the records exactly as an engine on disk keeps them.
//!
//! ```text
//!  Live(key)     sub ‖ KeyValue
//!  Version(..)   KeyValue
//!  Change(id)    0 ‖ key, while that version is live     1 ‖ KeyValue, once it is superseded or a tombstone
//! ```
//!
//! It is the model that tests hold other engines against. Invariant: a `Change` that refers to `Live` has its id.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use internal_proto::{KeyRange, KeyValue, LogIndex, Revision, Term};
use parking_lot::RwLock;

use super::{Batch, ChangeId, Engine, NewVersion, Position, Sizes, SmallKey, SmallKind, Version, VersionPage};
use crate::engine::keys::Record;

const REFERENCE: u8 = 0;
const IN_FULL: u8 = 1;

/// Records as bytes, in byte order.
#[derive(Debug, Default)]
pub struct EncodedEngine {
    records: RwLock<Records>,
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

impl EncodedEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

fn key_of(version: &Version) -> Bytes {
    Bytes::copy_from_slice(version.kv.key())
}

fn version_record(version: &Version) -> Record {
    Record::Version(key_of(version), Reverse(version.id))
}

fn in_full(kv: &KeyValue) -> Vec<u8> {
    [&[IN_FULL], kv.encoded()].concat()
}

fn key_value(bytes: &[u8]) -> KeyValue {
    KeyValue::from_encoded(bytes).expect("the engine holds what it was given")
}

fn set(records: &mut Records, record: &Record, value: Vec<u8>) {
    records.insert(record.encode(), value);
}

fn supersede(records: &mut Records, old: &Version) {
    set(records, &version_record(old), old.kv.encoded().to_vec());
    set(records, &Record::Change(old.id), in_full(&old.kv));
}

fn add(records: &mut Records, new: &NewVersion) {
    if let Some(old) = &new.previous {
        supersede(records, old);
    }
    let version = &new.version;
    let live = Record::Live(key_of(version));
    if version.is_tombstone() {
        records.remove(&live.encode());
        supersede(records, version);
    } else {
        set(records, &live, [&version.id.sub.to_be_bytes(), version.kv.encoded()].concat());
        set(records, &Record::Change(version.id), [&[REFERENCE], version.kv.key()].concat());
    }
}

fn live_version(bytes: &[u8]) -> Version {
    let (sub, kv) = bytes.split_first_chunk().expect("a live record begins with its sub");
    let kv = key_value(kv);
    Version { id: ChangeId { revision: kv.mod_revision(), sub: u32::from_be_bytes(*sub) }, kv }
}

fn live(records: &Records, key: &[u8]) -> Option<Version> {
    let record = Record::Live(Bytes::copy_from_slice(key));
    records.get(&record.encode()).map(|bytes| live_version(bytes))
}

/// Records from a place on, decoded.
fn from(records: &Records, start: Bound<Vec<u8>>) -> impl Iterator<Item = (Record, &[u8])> {
    records.range((start, Bound::Unbounded)).map(|(key, value)| {
        let record = Record::decode(key).expect("the engine holds what it was given");
        (record, value.as_slice())
    })
}

fn encode_position(position: Position) -> Vec<u8> {
    let mut out = position.applied.0.to_be_bytes().to_vec();
    out.extend(position.term.0.to_be_bytes());
    out.extend(position.revision.0.to_be_bytes());
    out.extend(position.compacted.0.to_be_bytes());
    out
}

fn decode_position(bytes: &[u8]) -> Position {
    let field = |at: usize| {
        let bytes = bytes[8 * at..].first_chunk().expect("a position has four fields");
        u64::from_be_bytes(*bytes)
    };
    Position {
        applied: LogIndex(field(0)),
        term: Term(field(1)),
        revision: Revision(field(2).cast_signed()),
        compacted: Revision(field(3).cast_signed()),
    }
}

impl Engine for EncodedEngine {
    fn write(&self, batch: &Batch) {
        let records = &mut *self.records.write();
        for new in &batch.versions {
            add(records, new);
        }
        for version in &batch.drops {
            if records.remove(&version_record(version).encode()).is_some() {
                records.remove(&Record::Change(version.id).encode());
            }
        }
        for (key, value) in &batch.small {
            let record = Record::Small(key.clone());
            match value {
                Some(value) => set(records, &record, value.to_vec()),
                None => drop(records.remove(&record.encode())),
            }
        }
        if let Some(position) = batch.position {
            set(records, &Record::Small(SmallKey::Position), encode_position(position));
        }
    }

    fn position(&self) -> Position {
        let key = Record::Small(SmallKey::Position).encode();
        self.records.read().get(&key).map_or_else(Position::default, |bytes| decode_position(bytes))
    }

    fn live(&self, key: &[u8]) -> Option<Version> {
        live(&self.records.read(), key)
    }

    fn scan_live(&self, range: &KeyRange, limit: usize) -> Vec<Version> {
        let records = self.records.read();
        let start = Bound::Included(Record::Live(range.start.clone()).encode());
        let found = from(&records, start).map_while(|(record, value)| match record {
            Record::Live(key) if !range.is_past(&key) => Some(live_version(value)),
            _ => None,
        });
        found.take(limit).collect()
    }

    fn version(&self, key: &[u8], at: ChangeId) -> Option<Version> {
        let records = self.records.read();
        let start = Record::Version(Bytes::copy_from_slice(key), Reverse(at)).encode();
        match from(&records, Bound::Included(start)).next()? {
            (Record::Version(found, Reverse(id)), value) if found == key => Some(Version { id, kv: key_value(value) }),
            _ => None,
        }
    }

    fn scan_versions(&self, range: &KeyRange, at: ChangeId, limit: usize) -> VersionPage {
        let records = self.records.read();
        let newest = Reverse(ChangeId::last_of(Revision(i64::MAX)));
        let start = Bound::Included(Record::Version(range.start.clone(), newest).encode());
        let mut page = VersionPage::default();
        let mut keys = 0;
        let mut current: Option<Bytes> = None;
        let mut settled = false;
        for (record, value) in from(&records, start) {
            let Record::Version(key, Reverse(id)) = record else { break };
            if range.is_past(&key) {
                break;
            }
            if current.as_ref() != Some(&key) {
                if keys == limit {
                    page.stopped_at = current;
                    return page;
                }
                keys += 1;
                settled = false;
                current = Some(key);
            }
            if !settled && id <= at {
                settled = true;
                page.versions.push(Version { id, kv: key_value(value) });
            }
        }
        page
    }

    fn scan_changes(&self, after: ChangeId, through: Revision, limit: usize) -> Vec<Version> {
        let records = self.records.read();
        let start = Bound::Excluded(Record::Change(after).encode());
        let found = from(&records, start).map_while(|(record, value)| {
            let Record::Change(id) = record else { return None };
            let (kind, rest) = value.split_first().expect("a change record says what it holds");
            let version = match *kind {
                IN_FULL => Version { id, kv: key_value(rest) },
                _ => live(&records, rest).expect("a change refers to a live version"),
            };
            (id.revision <= through).then_some(version)
        });
        found.take(limit).collect()
    }

    fn small(&self, key: &SmallKey) -> Option<Bytes> {
        let record = Record::Small(key.clone());
        self.records.read().get(&record.encode()).map(|bytes| Bytes::copy_from_slice(bytes))
    }

    fn scan_small(&self, kind: SmallKind, after: Option<&SmallKey>, limit: usize) -> Vec<(SmallKey, Bytes)> {
        let records = self.records.read();
        let start = match after {
            Some(after) => Bound::Excluded(Record::Small(after.clone()).encode()),
            None => Bound::Included(Record::Small(SmallKey::first(kind)).encode()),
        };
        let found = from(&records, start).map_while(|(record, value)| match record {
            Record::Small(key) if key.kind() == kind => Some((key, Bytes::copy_from_slice(value))),
            _ => None,
        });
        found.take(limit).collect()
    }

    fn sizes(&self) -> Sizes {
        let bytes = self.records.read().iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() as u64;
        Sizes { total: bytes, in_use: bytes }
    }
}
