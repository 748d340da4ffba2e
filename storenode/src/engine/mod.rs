//! What the state is kept in: records behind one trait, so that memory and a disk are interchangeable.
//!
//! ```text
//!  apply ──Batch──► Engine::write ──► Live(key)                      the current version of each key
//!                                     Version(key, revision, sub)    superseded versions and tombstones
//!                                     Change(revision, sub)          every retained version, in revision order
//!                                     Count(bound)                   how many keys a group of them has
//!                                     small records                  leases, sessions, members, cluster state
//!  views, hub, checkpoints ◄── owned copies, in chunks ── reads
//! ```
//!
//! Invariants: a batch of up to [`CHUNK`] versions is visible whole or not at all to each single read; a larger one may
//! become visible in parts, in its order, the new position with the first of them and small records with the last;
//! nothing a read returns refers into the engine; reads take a limit and writes have parts, so no lock is held for
//! longer than one chunk. A read or write that fails has no result that every node would reach alike, so there is no
//! error to return: the engine panics, and that stops the node.

pub mod checkpoint;
pub mod keys;
pub mod loading;
pub mod memory;
pub mod mirror;
pub mod rocksdb;

use bytes::Bytes;
use internal_proto::{KeyRange, KeyValue, KeyValueFields, LogIndex, Revision, Term};

pub use keys::{ChangeId, SmallKey, SmallKind};

/// Most records that one read of an engine returns: about 100 µs under the memory engine's lock. Small in tests, so
/// that they cross it.
pub const CHUNK: usize = if cfg!(test) { 7 } else { 1_000 };

/// One version of one key: a put in full, or a tombstone with the key and the revision that deleted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which change made it.
    pub id: ChangeId,
    /// The version as clients see it; of a tombstone, the key-value of its delete event.
    pub kv: KeyValue,
}

impl Version {
    /// Whether the version says that the key is deleted.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.kv.fields().version == 0
    }

    /// A tombstone.
    #[must_use]
    pub fn tombstone(key: &[u8], id: ChangeId) -> Self {
        let kv = KeyValue::new(&KeyValueFields { key, mod_revision: id.revision, ..KeyValueFields::default() });
        Self { id, kv }
    }
}

/// How far the state has come: one record, written with every batch of apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last log entry applied.
    pub applied: LogIndex,
    /// Its term.
    pub term: Term,
    /// The store's current revision.
    pub revision: Revision,
    /// The compacted revision; -1 on a store that was never compacted, as etcd reports it.
    pub compacted: Revision,
}

impl Default for Position {
    fn default() -> Self {
        let never = Revision(-1);
        Self { applied: LogIndex(0), term: Term(0), revision: Revision::EMPTY_STORE, compacted: never }
    }
}

/// One atomic write.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// New versions in ascending order of their ids, each above every id in the engine.
    pub versions: Vec<NewVersion>,
    /// Versions that compaction gives up, by their key and id. Those that are gone already are ignored.
    pub drops: Vec<Version>,
    /// Small records: set, or with `None` removed.
    pub small: Vec<(SmallKey, Option<Bytes>)>,
    /// Groups of the counted index that the new versions change. An engine that keeps none leaves them out.
    pub counts: Vec<CountGroup>,
    /// The new position, if the batch moves it.
    pub position: Option<Position>,
}

/// A version to write, and the one it supersedes.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// The new version.
    pub version: Version,
    /// The live version of the same key before it; `None` where there was none, or where compaction took it.
    pub previous: Option<Version>,
}

/// A group of neighbouring live keys, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountGroup {
    /// The least key that can be in it; the next group's bound ends it.
    pub bound: Bytes,
    /// How many it has; `None` where the group is no more.
    pub count: Option<u64>,
}

/// What one scan over versions found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// In key order.
    pub versions: Vec<Version>,
    /// The last key looked at, if there may be more behind it.
    pub stopped_at: Option<Bytes>,
}

/// The bytes an engine uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// All that it occupies.
    pub total: u64,
    /// What of it holds data.
    pub in_use: u64,
}

/// A place for records. See the module for what every implementation keeps.
pub trait Engine: Send + Sync {
    /// Performs the batch, whole once it returns.
    fn write(&self, batch: &Batch);

    /// The position last written; the default of a new engine.
    fn position(&self) -> Position;

    /// The current version of a key.
    fn live(&self, key: &[u8]) -> Option<Version>;

    /// The first `limit` current versions of a range, in key order.
    fn scan_live(&self, range: &KeyRange, limit: usize) -> Vec<Version>;

    /// The newest superseded version or tombstone of a key whose id is not above `at`.
    fn version(&self, key: &[u8], at: ChangeId) -> Option<Version>;

    /// The newest superseded version or tombstone, with an id not above `at`, of each key of a range. One call looks
    /// at no more than `limit` keys.
    fn scan_versions(&self, range: &KeyRange, at: ChangeId, limit: usize) -> VersionPage;

    /// The first `limit` retained versions with ids above `after` and revisions up to `through`, in order.
    fn scan_changes(&self, after: ChangeId, through: Revision, limit: usize) -> Vec<Version>;

    /// A small record.
    fn small(&self, key: &SmallKey) -> Option<Bytes>;

    /// The first `limit` small records of a kind whose keys are above `after`, in key order.
    fn scan_small(&self, kind: SmallKind, after: Option<&SmallKey>, limit: usize) -> Vec<(SmallKey, Bytes)>;

    /// All groups of the counted index that were written, in order, for a start that walks no keys; `None` from an
    /// engine that keeps none.
    fn counts(&self) -> Option<Vec<CountGroup>>;

    /// The bytes in use.
    fn sizes(&self) -> Sizes;
}
