//! A batch as one write of RocksDB. A full disk makes it wait: the entry is committed, so there is no refusing it.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::rocksdb::{WriteBatch, WriteOptions};
use bytes::Bytes;

use super::{RocksEngine, flush, values};
use crate::engine::keys::Record;
use crate::engine::{Batch, NewVersion, SmallKey, Version};

/// Between two tries to write to a full disk. RocksDB looks for space every few seconds.
const PAUSE: Duration = Duration::from_millis(100);

impl RocksEngine {
    pub(super) fn write_batch(&self, batch: &Batch) {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        loop {
            match self.db.write_opt(records(batch), &options) {
                Ok(()) => break,
                Err(error) if flush::is_no_space(&error) => {
                    if !self.waiting.swap(true, Ordering::Relaxed) {
                        let dir = self.dir.display();
                        tracing::error!(%dir, "no space on the disk: applying entries waits until there is");
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => self.fail(&error),
            }
        }
        if self.waiting.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk has space again: applying goes on");
        }
    }
}

fn records(batch: &Batch) -> WriteBatch {
    let mut records = WriteBatch::default();
    for new in &batch.versions {
        add(&mut records, new);
    }
    for version in &batch.drops {
        records.delete(version_record(version).encode());
        records.delete(Record::Change(version.id).encode());
    }
    for (key, value) in &batch.small {
        set(&mut records, &Record::Small(key.clone()), value.as_deref());
    }
    for group in &batch.counts {
        let count = group.count.map(u64::to_be_bytes);
        set(&mut records, &Record::Count(group.bound.clone()), count.as_ref().map(|bytes| &bytes[..]));
    }
    if let Some(position) = batch.position {
        records.put(Record::Small(SmallKey::Position).encode(), values::encode_position(position));
    }
    records
}

fn set(records: &mut WriteBatch, record: &Record, value: Option<&[u8]>) {
    match value {
        Some(value) => records.put(record.encode(), value),
        None => records.delete(record.encode()),
    }
}

fn add(records: &mut WriteBatch, new: &NewVersion) {
    if let Some(old) = &new.previous {
        supersede(records, old);
    }
    let version = &new.version;
    let live = Record::Live(key_of(version)).encode();
    if version.is_tombstone() {
        records.delete(live);
        supersede(records, version);
    } else {
        records.put(live, values::encode_live(version));
        records.put(Record::Change(version.id).encode(), values::encode_reference(version.kv.key()));
    }
}

fn supersede(records: &mut WriteBatch, old: &Version) {
    records.put(version_record(old).encode(), old.kv.encoded());
    records.put(Record::Change(old.id).encode(), values::encode_in_full(&old.kv));
}

fn version_record(version: &Version) -> Record {
    Record::Version(key_of(version), Reverse(version.id))
}

fn key_of(version: &Version) -> Bytes {
    Bytes::copy_from_slice(version.kv.key())
}
