//! All that a node which does not run would serve, in memory, so that members can be compared record by record.
//!
//! ```text
//!  checkpoint, or RocksDB's files ──copied──► memory ◄──applied through an entry── log
//!                  └──────────compared──────────┘                 then compacted as far as it is allowed
//! ```
//!
//! Invariant: what comes out depends on the entries alone, if engines and logs are as they should be: not on the
//! engine, and not on how far its work in the background has come.

use std::path::Path;
use std::sync::Arc;

use internal_proto::{KeyRange, LogIndex, Revision};

use super::{Content, open, store};
use crate::background::Place;
use crate::engine::loading::{GIVEN, Loading, small_records};
use crate::engine::memory::MemoryEngine;
use crate::engine::rocksdb::RocksEngine;
use crate::engine::{CHUNK, ChangeId, Engine, SmallKind, Version};
use crate::files::ReadOnly;
use crate::identity::Identity;
use crate::raft::recovery;
use crate::state::Reader;
use crate::storage::directories;

/// Changes that one step of the compaction looks at.
const COMPACTED_AT_ONCE: usize = 100_000;
/// What a node's own directory holds after an entry that is known to be committed. Nobody else may have the directory
/// open; nothing in it is changed. All of it must fit into memory.
///
/// # Errors
/// What is damaged or missing, and a store that contradicts itself.
pub fn content(dir: &Path, identity: Identity, through: LogIndex) -> Result<Reader, String> {
    let place = Place { files: Arc::new(ReadOnly), dir: dir.join("checkpoints"), identity };
    let (mut log, mut recovered) = open(&place, &dir.join("log")).map_err(|error| error.to_string())?;
    let begins = recovered.start.as_ref().map(|start| start.index);
    let engine = match store(&place, dir, begins)?.content {
        Content::Loaded(engine) => engine,
        Content::OnDisk(_) => {
            let newest = directories::newest(dir).map_err(|error| error.to_string())?.ok_or("the store has gone")?;
            let on_disk = RocksEngine::open_read_only(&newest, identity).map_err(|error| error.to_string())?;
            copy(&on_disk)?
        }
    };
    recovered.hard_state.commit = through;
    let (state, _) = recovery::restore(engine, &mut log, &recovered).map_err(|error| error.to_string())?;
    let reader = state.reader();
    while reader.compact_step(COMPACTED_AT_ONCE) {}
    Ok(reader)
}

/// Another engine of the same records, if those that derive from others do so there as here.
fn copy(from: &dyn Engine) -> Result<Arc<MemoryEngine>, String> {
    let engine = Arc::new(MemoryEngine::default());
    let mut loading = Loading::new(&*engine);
    for kind in GIVEN {
        loading.small_records(small_records(from, kind));
    }
    for versions in changes(from) {
        loading.versions(versions);
    }
    loading.finish(from.position());
    consistent(from, &*engine)?;
    Ok(engine)
}

fn consistent(from: &dyn Engine, derived: &dyn Engine) -> Result<(), String> {
    let live = [from, derived].map(|engine| engine.scan_live(&KeyRange::all(), usize::MAX));
    let differs = |what: &str| format!("the store contradicts itself: {what} do not follow from its changes");
    if live[0] != live[1] {
        return Err(differs("the current versions"));
    }
    let attached = [from, derived].map(|engine| small_records(engine, SmallKind::LeaseKey));
    if attached[0] != attached[1] {
        return Err(differs("the keys of leases"));
    }
    let found = |engine: &dyn Engine, version: &Version| engine.version(version.kv.key(), version.id);
    match changes(from).flatten().find(|version| found(from, version) != found(derived, version)) {
        None => Ok(()),
        Some(version) => Err(differs(&format!("the superseded versions up to {version:?}"))),
    }
}

/// All retained versions, in pages.
fn changes(engine: &dyn Engine) -> impl Iterator<Item = Vec<Version>> + '_ {
    let mut after = ChangeId::default();
    std::iter::from_fn(move || {
        let page = engine.scan_changes(after, Revision(i64::MAX), CHUNK);
        after = page.last()?.id;
        Some(page)
    })
}
