//! What the scripts, which run on this engine through the mirror, do not reach: files, flushes, losses, damage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::rocksdb::{Env, LogLevel, Options};
use bytes::Bytes;
use internal_proto::{ClusterId, KeyRange, KeyValue, KeyValueFields, LogIndex, MemberId, Revision, Term};
use proptest::prelude::*;
use tempfile::TempDir;

use super::open::options;
use super::{Budget, OpenError, RocksEngine};
use crate::engine::memory::MemoryEngine;
use crate::engine::mirror::MirrorEngine;
use crate::engine::{Batch, ChangeId, Engine, NewVersion, Position, SmallKey, SmallKind, Version};
use crate::files::FileError;
use crate::identity::Identity;

const MINE: Identity = Identity { cluster: ClusterId(1), member: MemberId(2) };

impl RocksEngine {
    /// An empty engine whose files are in memory.
    pub(crate) fn ephemeral() -> Self {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_env(&Env::mem_env().unwrap());
        options.set_log_level(LogLevel::Fatal);
        Self::open_with(Path::new("/store"), MINE, &options).unwrap()
    }
}

fn version(key: &str, value: Option<&[u8]>, revision: i64) -> Version {
    let id = ChangeId { revision: Revision(revision), sub: 0 };
    let Some(value) = value else { return Version::tombstone(key.as_bytes(), id) };
    let fields = KeyValueFields {
        key: key.as_bytes(),
        value,
        mod_revision: id.revision,
        create_revision: id.revision,
        version: 1,
        ..KeyValueFields::default()
    };
    Version { id, kv: KeyValue::new(&fields) }
}

/// Puts or deletes one key as the next entry.
fn write(engine: &dyn Engine, key: &str, value: Option<&[u8]>) {
    let before = engine.position();
    let revision = before.revision.next();
    let version = version(key, value, revision.0);
    let previous = engine.live(key.as_bytes());
    if version.is_tombstone() && previous.is_none() {
        return;
    }
    let position = Position { applied: before.applied.next(), term: Term(1), revision, ..before };
    let mark = Bytes::copy_from_slice(&revision.0.to_be_bytes());
    let small = vec![(SmallKey::ConfState, Some(mark))];
    let versions = vec![NewVersion { version, previous }];
    engine.write(&Batch { versions, small, position: Some(position), ..Batch::default() });
}

fn disk(dir: &Path) -> Result<RocksEngine, OpenError> {
    RocksEngine::open(dir, MINE, Budget::new(0))
}

fn table_files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect()
}

/// Flips every byte of a part of a file.
fn damage(path: &Path, part: std::ops::Range<usize>) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[part].iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(path, bytes).unwrap();
}

/// What a kill at this moment leaves: the files as they are. Compaction goes on meanwhile, so it is copied until
/// nothing has changed.
fn killed(dir: &Path) -> TempDir {
    loop {
        let (before, copy) = (files(dir), tempfile::tempdir().unwrap());
        for file in before.keys() {
            if let Err(error) = std::fs::copy(file, copy.path().join(file.file_name().unwrap())) {
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", file.display());
            }
        }
        if files(dir) == before {
            return copy;
        }
    }
}

/// All files and their sizes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Option<u64>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), path.metadata().ok().map(|file| file.len()))).collect()
}

/// A store with some keys in one file of many blocks.
fn flushed(dir: &Path) -> PathBuf {
    let engine = disk(dir).unwrap();
    for number in 0..100_u32 {
        let value: Vec<u8> = (0..1000_u32).map(|at| (number * at * at).to_le_bytes()[1]).collect();
        write(&engine, &format!("key{number}"), Some(&value));
    }
    assert_eq!(engine.flush().unwrap(), engine.position());
    drop(engine);
    table_files(dir).pop().unwrap()
}

#[test]
fn what_was_flushed_is_durable_and_nothing_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = disk(dir.path()).unwrap();
    write(&engine, "a", Some(b"1"));
    let durable = engine.flush().unwrap();
    assert_eq!(durable.applied, LogIndex(1));
    write(&engine, "a", Some(b"2"));
    assert_eq!(engine.position().applied, LogIndex(2));
    let left = killed(dir.path());
    let engine = disk(left.path()).unwrap();
    assert_eq!(engine.position(), durable);
    assert_eq!(engine.live(b"a").unwrap().kv.fields().value, b"1");
    assert_eq!(engine.version(b"a", ChangeId::last_of(Revision(i64::MAX))), None);
}

#[test]
fn a_store_survives_closing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = disk(dir.path()).unwrap();
    write(&engine, "a", Some(b"1"));
    let position = engine.position();
    drop(engine);
    assert_eq!(disk(dir.path()).unwrap().position(), position);
}

#[test]
fn the_store_of_another_member_or_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(disk(dir.path()).unwrap());
    let other = Identity { member: MemberId(3), ..MINE };
    let error = RocksEngine::open(dir.path(), other, Budget::new(0)).unwrap_err();
    assert!(matches!(error, OpenError::File(FileError::OtherMember { found: MINE, .. })), "{error}");
    let engine = disk(dir.path()).unwrap();
    engine.db.put([0], [0, 0, 0, 99]).unwrap();
    drop(engine);
    let error = disk(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::File(FileError::NewerFormat { found: 99, .. })), "{error}");
}

#[test]
fn a_damaged_footer_stops_the_start_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = flushed(dir.path());
    let size = usize::try_from(file.metadata().unwrap().len()).unwrap();
    damage(&file, size - 40..size);
    let error = disk(dir.path()).unwrap_err().to_string();
    assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn a_missing_file_stops_the_start_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = flushed(dir.path());
    std::fs::remove_file(&file).unwrap();
    let error = disk(dir.path()).unwrap_err().to_string();
    assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn a_damaged_manifest_stops_the_start_by_name() {
    let dir = tempfile::tempdir().unwrap();
    flushed(dir.path());
    let current = std::fs::read_to_string(dir.path().join("CURRENT")).unwrap();
    let manifest = dir.path().join(current.trim());
    damage(&manifest, 10..40);
    let error = disk(dir.path()).unwrap_err().to_string();
    assert!(error.contains("MANIFEST"), "{error}");
}

#[test]
fn a_damaged_block_is_told_by_name_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = flushed(dir.path());
    damage(&file, 40_000..40_020);
    let engine = disk(dir.path()).unwrap();
    let told = std::sync::Arc::new(parking_lot::Mutex::new(String::new()));
    let hear = std::sync::Arc::clone(&told);
    engine.on_failure(move |reason| hear.lock().push_str(reason));
    let read = std::panic::AssertUnwindSafe(|| engine.scan_live(&KeyRange::all(), 1000));
    assert!(std::panic::catch_unwind(read).is_err());
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(told.lock().contains(&name), "{}", told.lock());
}

#[test]
fn memory_is_bounded_by_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let engine = RocksEngine::open_with(dir.path(), MINE, &options(Budget::new(0))).unwrap();
    let value = vec![7; 100_000];
    for number in 0..800 {
        write(&engine, &format!("key{number}"), Some(&value));
    }
    assert!(!table_files(dir.path()).is_empty(), "buffers are flushed when they are full");
    let used = engine.property("rocksdb.cur-size-all-mem-tables");
    assert!(used <= 32 << 20, "{used} bytes are not flushed");
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Flush,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0_u8..9, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        4 => (0_u8..9).prop_map(Step::Delete),
        2 => Just(Step::Flush),
        1 => Just(Step::Kill),
    ]
}

/// Names with bytes that escaping changes, prefixes of one another among them.
fn name(key: u8) -> String {
    ["a", "a\0", "a\0\0", "a\0b", "a\u{1}", "ab", "b", "\0", "\u{7f}"][usize::from(key)].to_owned()
}

/// The engine against one in memory that replays the same writes up to the durable position.
fn replayed(writes: &[(String, Option<Vec<u8>>)]) -> MemoryEngine {
    let engine = MemoryEngine::new();
    for (key, value) in writes {
        write(&engine, key, value.as_deref());
    }
    engine
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_kill_leaves_a_prefix_of_the_writes(steps in proptest::collection::vec(step(), 1..80)) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut engine = disk(dir.path()).unwrap();
        let mut writes: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        let mut durable = Position::default();
        for step in steps {
            match step {
                Step::Put(key, value) => writes.push((name(key), Some(vec![value]))),
                Step::Delete(key) if engine.live(name(key).as_bytes()).is_some() => writes.push((name(key), None)),
                Step::Delete(_) => continue,
                Step::Flush => {
                    durable = engine.flush().unwrap();
                    prop_assert_eq!(durable, engine.position());
                    continue;
                }
                Step::Kill => {
                    let left = killed(dir.path());
                    drop(engine);
                    engine = disk(left.path()).unwrap();
                    dir = left;
                    prop_assert_eq!(engine.position(), durable);
                    writes.truncate(usize::try_from(durable.applied.0).unwrap());
                    continue;
                }
            }
            let (key, value) = writes.last().unwrap();
            write(&engine, key, value.as_deref());
        }
        let mirror = MirrorEngine::new(replayed(&writes), engine);
        mirror.position();
        mirror.scan_live(&KeyRange::all(), 100);
        mirror.scan_small(SmallKind::ConfState, None, 100);
        let revision = mirror.position().revision;
        mirror.scan_changes(ChangeId::default(), revision, 100);
        for at in 1..=revision.0 {
            mirror.scan_versions(&KeyRange::all(), ChangeId::last_of(Revision(at)), 3);
        }
    }
}
