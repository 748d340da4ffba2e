//! Pages of past changes for watchers that catch up.
//!
//! Invariants: a page ends between revisions, never within one; a version before an event is given exactly where etcd
//! could still read it, at one revision less and not below the compacted one.

use internal_proto::{Event, EventKind, KeyRange, KeyValue, Revision};

use crate::engine::{CHUNK, ChangeId, Engine, Version};
use crate::state::{ChangePage, Changes};

/// Reads one page of the changes in `(after, head]`.
pub(crate) fn page(
    engine: &dyn Engine,
    range: &KeyRange,
    after: Revision,
    head: Revision,
    compacted: Revision,
    max_bytes: usize,
) -> ChangePage {
    let mut changes: Vec<Changes> = Vec::new();
    let mut bytes = 0;
    let mut last = ChangeId::last_of(after);
    loop {
        let chunk = engine.scan_changes(last, head, CHUNK);
        for version in &chunk {
            let revision = version.id.revision;
            if bytes >= max_bytes && !changes.is_empty() && revision > last.revision {
                return ChangePage { changes, through: last.revision };
            }
            last = version.id;
            if range.contains(version.kv.key()) {
                let event = event(engine, version, compacted);
                bytes += event.kv.encoded().len() + event.prev_kv.as_ref().map_or(0, |kv| kv.encoded().len());
                match changes.last_mut() {
                    Some(changes) if changes.revision == revision => changes.events.push(event),
                    _ => changes.push(Changes { revision, events: vec![event] }),
                }
            }
        }
        if chunk.len() < CHUNK {
            return ChangePage { changes, through: head };
        }
    }
}

fn event(engine: &dyn Engine, version: &Version, compacted: Revision) -> Event {
    let kind = if version.is_tombstone() { EventKind::Delete } else { EventKind::Put };
    Event { kind, kv: version.kv.clone(), prev_kv: previous(engine, version, compacted) }
}

fn previous(engine: &dyn Engine, version: &Version, compacted: Revision) -> Option<KeyValue> {
    let before = Revision(version.id.revision.0 - 1);
    if before < compacted || version.kv.fields().version == 1 {
        return None;
    }
    let previous = engine.version(version.kv.key(), ChangeId::last_of(before))?;
    (!previous.is_tombstone()).then_some(previous.kv)
}
