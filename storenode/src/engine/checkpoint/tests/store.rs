//! A store on two engines in step, written without a state above: what checkpoints are made of and loaded into.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use internal_proto::{KeyRange, KeyValue, KeyValueFields, LeaseId, LogIndex, Revision, Term};

use super::super::{Checkpoint, CheckpointError, Content, load, write};
use super::TEST_CHUNK_BYTES;
use crate::engine::memory::MemoryEngine;
use crate::engine::mirror::MirrorEngine;
use crate::engine::rocksdb::RocksEngine;
use crate::engine::{Batch, ChangeId, Engine, NewVersion, Position, SmallKey, SmallKind, Version};
use crate::files::Files;
use crate::identity::Identity;

const STORED_KINDS: [SmallKind; 5] =
    [SmallKind::ConfState, SmallKind::Lease, SmallKind::Member, SmallKind::Session, SmallKind::SessionAnswer];

/// The store as it is now: nothing changes it while it is written.
struct Present<'a> {
    store: &'a Store,
    small: Vec<(SmallKey, Bytes)>,
}

impl Content for Present<'_> {
    fn position(&self) -> Position {
        self.store.position()
    }

    fn small_records(&self) -> &[(SmallKey, Bytes)] {
        &self.small
    }

    /// Fewer than asked for, so that there is more than one page.
    fn versions(&self, after: ChangeId, limit: usize) -> Vec<Version> {
        self.store.engine.scan_changes(after, self.position().revision, limit.min(3))
    }
}

/// One write is one log entry.
pub(super) struct Store {
    engine: MirrorEngine<MemoryEngine, RocksEngine>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self { engine: MirrorEngine::new(MemoryEngine::new(), RocksEngine::ephemeral()) }
    }

    pub(super) fn position(&self) -> Position {
        self.engine.position()
    }

    fn entry(&self, revisions: i64) -> Position {
        let before = self.position();
        let revision = Revision(before.revision.0 + revisions);
        Position { applied: before.applied.next(), term: Term(3), revision, ..before }
    }

    /// Writes keys in one revision; `None` deletes.
    pub(super) fn change(&self, changes: &[(&str, Option<&[u8]>)], lease: LeaseId) {
        let position = self.entry(1);
        let mut batch = Batch { position: Some(position), ..Batch::default() };
        for (sub, (key, value)) in changes.iter().enumerate() {
            let id = ChangeId { revision: position.revision, sub: u32::try_from(sub).unwrap() };
            let previous = self.engine.live(key.as_bytes());
            let before = previous.as_ref().map(|previous| previous.kv.fields()).unwrap_or_default();
            let lease_key = |lease| SmallKey::LeaseKey(lease, Bytes::copy_from_slice(key.as_bytes()));
            if before.lease != LeaseId(0) {
                batch.small.push((lease_key(before.lease), None));
            }
            let version = match value {
                None => Version::tombstone(key.as_bytes(), id),
                Some(value) => {
                    let created = if before.version == 0 { id.revision } else { before.create_revision };
                    let kv = KeyValue::new(&KeyValueFields {
                        key: key.as_bytes(),
                        create_revision: created,
                        mod_revision: id.revision,
                        version: before.version + 1,
                        value,
                        lease,
                    });
                    if lease != LeaseId(0) {
                        batch.small.push((lease_key(lease), Some(Bytes::new())));
                    }
                    Version { id, kv }
                }
            };
            batch.versions.push(NewVersion { version, previous });
        }
        self.engine.write(&batch);
    }

    pub(super) fn set(&self, key: SmallKey, value: &str) {
        let small = vec![(key, Some(Bytes::copy_from_slice(value.as_bytes())))];
        self.engine.write(&Batch { small, position: Some(self.entry(0)), ..Batch::default() });
    }

    /// Compacts to a revision at once.
    pub(super) fn compact(&self, at: Revision) {
        let all = self.history();
        let superseded = |old: &Version| {
            let newer = all.iter().filter(|new| new.kv.key() == old.kv.key() && new.id > old.id);
            newer.into_iter().any(|new| new.id.revision <= at)
        };
        let gone = |version: &&Version| superseded(version) || version.is_tombstone() && version.id.revision < at;
        let drops = all.iter().filter(gone).cloned().collect();
        let position = Some(Position { compacted: at, ..self.entry(0) });
        self.engine.write(&Batch { drops, position, ..Batch::default() });
    }

    fn history(&self) -> Vec<Version> {
        self.engine.scan_changes(ChangeId::default(), self.position().revision, usize::MAX)
    }

    fn small(&self) -> Vec<(SmallKey, Bytes)> {
        STORED_KINDS.into_iter().flat_map(|kind| self.engine.scan_small(kind, None, usize::MAX)).collect()
    }

    pub(super) fn write(
        &self,
        files: &dyn Files,
        dir: &Path,
        identity: Identity,
    ) -> Result<Checkpoint, CheckpointError> {
        let content = Present { store: self, small: self.small() };
        write::write(files, dir, identity, &content, TEST_CHUNK_BYTES)
    }

    /// A store from the newest checkpoint; an empty one if there is none.
    pub(super) fn load(
        files: &dyn Files,
        dir: &Path,
        identity: Identity,
    ) -> Result<(Self, Option<Checkpoint>), CheckpointError> {
        let store = Self::new();
        let loaded = load::load(files, dir, identity, &store.engine)?;
        Ok((store, loaded))
    }

    /// Everything in the store, each version with where the engine has it.
    pub(super) fn dump(&self) -> String {
        let Position { applied: LogIndex(applied), term, revision, compacted } = self.position();
        let mut out = format!("applied {applied} of term {term}, revision {revision}, compacted {compacted}\n");
        for (key, value) in self.small() {
            writeln!(out, "{key:?} = {}", String::from_utf8_lossy(&value)).unwrap();
        }
        for (key, _) in self.engine.scan_small(SmallKind::LeaseKey, None, usize::MAX) {
            writeln!(out, "{key:?}").unwrap();
        }
        let live = self.engine.scan_live(&KeyRange::all(), usize::MAX);
        let history = self.history();
        for version in &history {
            let fields = version.kv.fields();
            let key = String::from_utf8_lossy(fields.key);
            let state = match self.engine.version(fields.key, version.id).filter(|found| found.id == version.id) {
                None => "live",
                Some(_) if version.is_tombstone() => "tombstone",
                Some(_) => "superseded",
            };
            let ChangeId { revision, sub } = version.id;
            write!(out, "{revision}.{sub} {key}").unwrap();
            if !version.is_tombstone() {
                let value = String::from_utf8_lossy(fields.value);
                let value = value.trim_end_matches('.');
                write!(out, "={value} created {} version {}", fields.create_revision, fields.version).unwrap();
            }
            writeln!(out, ", {state}").unwrap();
        }
        assert!(live.iter().all(|version| history.contains(version)), "live versions are in history");
        out
    }
}
