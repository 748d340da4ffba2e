//! Reads over the records in their order. Each is of one moment: an iterator and a snapshot see no later write.

use std::cmp::Reverse;

use ::rocksdb::{DBRawIterator, ReadOptions};
use bytes::Bytes;
use internal_proto::{KeyRange, RangeEnd, Revision};

use super::values::{self, Change};
use super::{RocksEngine, Version};
use crate::engine::keys::{ChangeId, Record, RecordFamily};
use crate::engine::{CountGroup, SmallKey, SmallKind, VersionPage};

/// Above every id in use.
const NEWEST: ChangeId = ChangeId::last_of(Revision(i64::MAX));

/// Below every id in use.
const OLDEST: ChangeId = ChangeId { revision: Revision(i64::MIN), sub: 0 };

/// The records from a place on, up to another.
struct Walk<'a> {
    engine: &'a RocksEngine,
    records: DBRawIterator<'a>,
}

impl Walk<'_> {
    /// The record it stands on.
    fn record(&self) -> Option<(&[u8], &[u8])> {
        let found = self.records.item();
        if found.is_none() {
            self.engine.sound(self.records.status());
        }
        found
    }

    fn decoded(&self) -> Option<(Record, &[u8])> {
        self.record().map(|(key, value)| (Record::decode(key).expect("keys are encoded records"), value))
    }

    fn advance(&mut self) {
        self.records.next();
    }

    fn seek(&mut self, record: &Record) {
        self.records.seek(record.encode());
    }
}

/// The least bytes above a record's: no other record is between.
fn behind(record: &Record) -> Vec<u8> {
    let mut bytes = record.encode();
    bytes.push(0);
    bytes
}

fn versions_of(key: &[u8], id: ChangeId) -> Record {
    Record::Version(Bytes::copy_from_slice(key), Reverse(id))
}

impl RocksEngine {
    fn walk(&self, start: Vec<u8>, end: Vec<u8>) -> Walk<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        let mut records = self.db.raw_iterator_opt(options);
        records.seek(start);
        Walk { engine: self, records }
    }

    pub(super) fn read_live(&self, range: &KeyRange, limit: usize) -> Vec<Version> {
        let end = match &range.end {
            RangeEnd::Single => behind(&Record::Live(range.start.clone())),
            RangeEnd::Before(end) => Record::Live(end.clone()).encode(),
            RangeEnd::Unbounded => RecordFamily::Live.end(),
        };
        let start = Record::Live(range.start.clone()).encode();
        if start >= end {
            return Vec::new();
        }
        let mut walk = self.walk(start, end);
        let mut found = Vec::new();
        while found.len() < limit
            && let Some((_, value)) = walk.record()
        {
            found.push(values::live(value));
            walk.advance();
        }
        found
    }

    pub(super) fn read_version(&self, key: &[u8], at: ChangeId) -> Option<Version> {
        let walk = self.walk(versions_of(key, at).encode(), behind(&versions_of(key, OLDEST)));
        let (record, value) = walk.decoded()?;
        version(&record, value)
    }

    pub(super) fn read_versions(&self, range: &KeyRange, at: ChangeId, limit: usize) -> VersionPage {
        let mut page = VersionPage::default();
        let start = Record::Version(range.start.clone(), Reverse(NEWEST)).encode();
        let mut walk = self.walk(start, RecordFamily::Version.end());
        let mut looked_at = 0;
        while let Some((Record::Version(key, Reverse(newest)), _)) = walk.decoded() {
            if range.is_past(&key) {
                break;
            }
            if looked_at == limit {
                return page;
            }
            looked_at += 1;
            page.stopped_at = (looked_at == limit).then(|| key.clone());
            if newest > at {
                walk.seek(&versions_of(&key, at));
            }
            let Some((record, value)) = walk.decoded() else { break };
            if is_of(&record, &key) {
                page.versions.extend(version(&record, value));
                walk.advance();
            }
            if walk.decoded().is_some_and(|(record, _)| is_of(&record, &key)) {
                walk.seek(&versions_of(&key, OLDEST));
                // Nothing has the least id, so this stands on the next key already.
            }
        }
        page.stopped_at = None;
        page
    }

    pub(super) fn read_changes(&self, after: ChangeId, through: Revision, limit: usize) -> Vec<Version> {
        let snapshot = self.db.snapshot();
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(behind(&Record::Change(ChangeId::last_of(through))));
        let mut walk = Walk { engine: self, records: snapshot.raw_iterator_opt(options) };
        walk.records.seek(behind(&Record::Change(after)));
        // Where a version is still live, its place is kept for it, and the keys are looked up together.
        let mut found: Vec<Option<Version>> = Vec::new();
        let mut referred: Vec<(usize, Vec<u8>)> = Vec::new();
        while found.len() < limit
            && let Some((Record::Change(id), value)) = walk.decoded()
        {
            match values::change(value) {
                Change::InFull(kv) => found.push(Some(Version { id, kv })),
                Change::Reference(key) => {
                    referred.push((found.len(), Record::Live(Bytes::copy_from_slice(key)).encode()));
                    found.push(None);
                }
            }
            walk.advance();
        }
        let live = snapshot.multi_get(referred.iter().map(|(_, key)| key));
        for ((at, _), value) in referred.iter().zip(live) {
            found[*at] = self.sound(value).map(|value| values::live(&value));
        }
        found.into_iter().map(|version| version.expect("a change refers to a live version")).collect()
    }

    pub(super) fn read_small(&self, kind: SmallKind, after: Option<&SmallKey>, limit: usize) -> Vec<(SmallKey, Bytes)> {
        let start = match after {
            Some(after) => behind(&Record::Small(after.clone())),
            None => Record::Small(SmallKey::first(kind)).encode(),
        };
        let mut walk = self.walk(start, RecordFamily::Small.end());
        let mut found = Vec::new();
        while found.len() < limit
            && let Some((Record::Small(key), value)) = walk.decoded()
            && key.kind() == kind
        {
            found.push((key, Bytes::copy_from_slice(value)));
            walk.advance();
        }
        found
    }

    pub(super) fn read_counts(&self) -> Vec<CountGroup> {
        let mut walk = self.walk(Record::Count(Bytes::new()).encode(), RecordFamily::Count.end());
        let mut found = Vec::new();
        while let Some((Record::Count(bound), value)) = walk.decoded() {
            found.push(CountGroup { bound, count: Some(values::number(value)) });
            walk.advance();
        }
        found
    }
}

fn is_of(record: &Record, key: &Bytes) -> bool {
    matches!(record, Record::Version(of, _) if of == key)
}

fn version(record: &Record, value: &[u8]) -> Option<Version> {
    match record {
        Record::Version(_, Reverse(id)) => Some(Version { id: *id, kv: values::key_value(value) }),
        _ => None,
    }
}
