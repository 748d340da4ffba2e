//! Filling an empty engine from the records of a view: a checkpoint's or another node's.
//!
//! ```text
//!  versions in the order of history ──► each supersedes what is live of its key ──► Live, Version, Change,
//!                                                                                   keys of leases
//!  small records                    ──► as they are
//!  finish(position)                 ──► only now the engine has a position
//! ```

use std::collections::HashMap;

use bytes::Bytes;
use internal_proto::{KeyValueFields, LeaseId};

use super::{Batch, CHUNK, Engine, NewVersion, Position, SmallKey, SmallKind, Version};

/// The kinds of small records that an engine is given; keys of leases it derives from the live versions.
pub const GIVEN: [SmallKind; 5] =
    [SmallKind::ConfState, SmallKind::Lease, SmallKind::Member, SmallKind::Session, SmallKind::SessionAnswer];

/// All small records of a kind, in order.
#[must_use]
pub fn small_records(engine: &dyn Engine, kind: SmallKind) -> Vec<(SmallKey, Bytes)> {
    let mut records: Vec<(SmallKey, Bytes)> = Vec::new();
    loop {
        let chunk = engine.scan_small(kind, records.last().map(|(key, _)| key), CHUNK);
        let full = chunk.len() == CHUNK;
        records.extend(chunk);
        if !full {
            return records;
        }
    }
}

/// A load under way. An engine whose load was not finished has no position and is worth nothing.
pub struct Loading<'a> {
    engine: &'a dyn Engine,
}

impl<'a> Loading<'a> {
    /// Begins with an empty engine.
    #[must_use]
    pub const fn new(engine: &'a dyn Engine) -> Self {
        Self { engine }
    }

    /// Adds the next versions, in the order of history.
    pub fn versions(&mut self, versions: Vec<Version>) {
        let mut live: HashMap<&[u8], Option<&Version>> = HashMap::with_capacity(versions.len());
        let mut superseded = Vec::with_capacity(versions.len());
        let mut small = Vec::new();
        for version in &versions {
            let fields = version.kv.fields();
            let now = (!version.is_tombstone()).then_some(version);
            let previous = match live.insert(fields.key, now) {
                Some(previous) => previous.cloned(),
                // Compaction takes a key's versions oldest first, so nothing is left from before its creation. Saves
                // a lookup for every key.
                None if fields.version == 1 => None,
                None => self.engine.live(fields.key),
            };
            let detached = previous.as_ref().and_then(|previous| lease_key(&previous.kv.fields()));
            small.extend(detached.map(|key| (key, None)));
            small.extend(lease_key(&fields).map(|key| (key, Some(Bytes::new()))));
            superseded.push(previous);
        }
        let new = versions.into_iter().zip(superseded);
        let versions = new.map(|(version, previous)| NewVersion { version, previous }).collect();
        self.engine.write(&Batch { versions, small, ..Batch::default() });
    }

    /// Adds small records.
    pub fn small_records(&mut self, records: Vec<(SmallKey, Bytes)>) {
        let small = records.into_iter().map(|(key, value)| (key, Some(value))).collect();
        self.engine.write(&Batch { small, ..Batch::default() });
    }

    /// Completes the load.
    pub fn finish(self, position: Position) {
        self.engine.write(&Batch { position: Some(position), ..Batch::default() });
    }
}

fn lease_key(fields: &KeyValueFields<'_>) -> Option<SmallKey> {
    (fields.lease != LeaseId(0)).then(|| SmallKey::LeaseKey(fields.lease, Bytes::copy_from_slice(fields.key)))
}

/// The least key above this one.
#[must_use]
pub fn after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}
