//! Filling an empty engine from the records of a view: a checkpoint's or another node's.
//!
//! ```text
//!  versions in the order of history ──► each supersedes what is live of its key ──► Live, Version, Change
//!  small records                    ──► as they are
//!  finish(position)                 ──► leases' keys derived from Live; only now the engine has a position
//! ```

use std::collections::HashMap;

use bytes::Bytes;
use internal_proto::{KeyRange, KeyValue, LeaseId};

use super::{Batch, CHUNK, Engine, NewVersion, Position, SmallKey, Version};

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
        let mut live: HashMap<Bytes, Option<Version>> = HashMap::new();
        let mut batch = Batch::default();
        for version in versions {
            let key = Bytes::copy_from_slice(version.kv.key());
            let now = (!version.is_tombstone()).then(|| version.clone());
            let previous = match live.insert(key, now) {
                Some(previous) => previous,
                None => self.engine.live(version.kv.key()),
            };
            batch.versions.push(NewVersion { version, previous });
        }
        self.engine.write(&batch);
    }

    /// Adds small records.
    pub fn small_records(&mut self, records: Vec<(SmallKey, Bytes)>) {
        let small = records.into_iter().map(|(key, value)| (key, Some(value))).collect();
        self.engine.write(&Batch { small, ..Batch::default() });
    }

    /// Completes the load.
    pub fn finish(self, position: Position) {
        let mut range = KeyRange::all();
        loop {
            let chunk = self.engine.scan_live(&range, CHUNK);
            let small = chunk.iter().filter_map(|version| lease_key(&version.kv)).collect();
            self.engine.write(&Batch { small, ..Batch::default() });
            match chunk.last() {
                Some(last) if chunk.len() == CHUNK => range.start = after(last.kv.key()),
                _ => break,
            }
        }
        self.engine.write(&Batch { position: Some(position), ..Batch::default() });
    }
}

fn lease_key(kv: &KeyValue) -> Option<(SmallKey, Option<Bytes>)> {
    let fields = kv.fields();
    let attached = fields.lease != LeaseId(0);
    attached.then(|| (SmallKey::LeaseKey(fields.lease, Bytes::copy_from_slice(fields.key)), Some(Bytes::new())))
}

/// The least key above this one.
#[must_use]
pub fn after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}
