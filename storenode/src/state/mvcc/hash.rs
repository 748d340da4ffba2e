//! etcd's HashKV: one number that equal histories share, whatever compaction has dropped so far.
//!
//! ```text
//!  CRC-32C over  "key"  then per version in revision order
//!                revision (8, big-endian) '_' sub (8) ['t' of a tombstone]
//!                KeyValue, of a tombstone with the key alone
//!
//!  revisions     ≤ compacted                                    (compacted, revision]
//!  hashed        what is still live at the hashed revision      all
//! ```
//!
//! Two of etcd's rules are odd, and members must agree: a version at or below the compacted revision that a later one
//! superseded is left out though it is still readable, unless no key at all is live at the hashed revision.

use internal_proto::{KeyRange, KeyValue, KeyValueFields, Revision};

use super::revision::AtRevision;
use crate::engine::{CHUNK, ChangeId, Version};
use crate::state::StoreHash;

/// Hashes the history through the revision of `keys`. Compaction must be paused.
pub(crate) fn hash(keys: &AtRevision<'_>, compacted: Revision) -> StoreHash {
    // With no live key, etcd's set of versions to keep is empty and filters nothing: what a compaction leaves counts.
    let kept_at = if keys.count(&KeyRange::all()) == 0 { compacted } else { keys.at };
    let kept = AtRevision { at: kept_at, ..*keys };
    let mut crc = crc32c::crc32c(b"key");
    let mut last = ChangeId::before(Revision(0));
    loop {
        let chunk = keys.engine.scan_changes(last, keys.at, CHUNK);
        for version in &chunk {
            if version.id.revision > compacted || is_kept(&kept, version) {
                crc = append(crc, version);
            }
        }
        match chunk.last() {
            Some(version) if chunk.len() == CHUNK => last = version.id,
            _ => return StoreHash { hash: crc, revision: keys.at, compacted },
        }
    }
}

/// Whether a version at or below the compacted revision is hashed; tombstones never are.
fn is_kept(kept: &AtRevision<'_>, version: &Version) -> bool {
    !version.is_tombstone() && kept.get(version.kv.key()).is_some_and(|current| current.id == version.id)
}

fn append(crc: u32, version: &Version) -> u32 {
    let mut name = Vec::with_capacity(18);
    name.extend(version.id.revision.0.to_be_bytes());
    name.push(b'_');
    name.extend(u64::from(version.id.sub).to_be_bytes());
    if !version.is_tombstone() {
        return crc32c::crc32c_append(crc32c::crc32c_append(crc, &name), version.kv.encoded());
    }
    name.push(b't');
    let key_alone = KeyValue::new(&KeyValueFields { key: version.kv.key(), ..KeyValueFields::default() });
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &name), key_alone.encoded())
}
