//! The values of records on disk. Their layouts never change their meaning.
//!
//! ```text
//!  Live      sub ‖ KeyValue
//!  Change    0 ‖ key                  1 ‖ KeyValue
//!  Position  applied ‖ term ‖ revision ‖ compacted
//!  Count     number of keys
//! ```

use internal_proto::{KeyValue, LogIndex, Revision, Term};

use crate::engine::{ChangeId, Position, Version};

const REFERENCE: u8 = 0;
const IN_FULL: u8 = 1;

/// What a `Change` record holds.
pub(super) enum Change<'a> {
    /// The key whose live version it is.
    Reference(&'a [u8]),
    /// The version itself.
    InFull(KeyValue),
}

/// Every block has a checksum, so what does not decode was written wrongly.
const AS_WRITTEN: &str = "a record is as it was written";

pub(super) fn key_value(bytes: &[u8]) -> KeyValue {
    KeyValue::from_encoded(bytes).expect(AS_WRITTEN)
}

pub(super) fn encode_live(version: &Version) -> Vec<u8> {
    [&version.id.sub.to_be_bytes(), version.kv.encoded()].concat()
}

pub(super) fn live(bytes: &[u8]) -> Version {
    let (sub, kv) = bytes.split_first_chunk().expect(AS_WRITTEN);
    let kv = key_value(kv);
    Version { id: ChangeId { revision: kv.mod_revision(), sub: u32::from_be_bytes(*sub) }, kv }
}

pub(super) fn encode_reference(key: &[u8]) -> Vec<u8> {
    [&[REFERENCE], key].concat()
}

pub(super) fn encode_in_full(kv: &KeyValue) -> Vec<u8> {
    [&[IN_FULL], kv.encoded()].concat()
}

pub(super) fn change(bytes: &[u8]) -> Change<'_> {
    let (kind, rest) = bytes.split_first().expect(AS_WRITTEN);
    match *kind {
        IN_FULL => Change::InFull(key_value(rest)),
        _ => Change::Reference(rest),
    }
}

pub(super) fn encode_position(position: Position) -> Vec<u8> {
    let mut out = position.applied.0.to_be_bytes().to_vec();
    out.extend(position.term.0.to_be_bytes());
    out.extend(position.revision.0.to_be_bytes());
    out.extend(position.compacted.0.to_be_bytes());
    out
}

pub(super) fn position(bytes: &[u8]) -> Position {
    let field = |at: usize| number(bytes.get(8 * at..).expect(AS_WRITTEN));
    Position {
        applied: LogIndex(field(0)),
        term: Term(field(1)),
        revision: Revision(field(2).cast_signed()),
        compacted: Revision(field(3).cast_signed()),
    }
}

/// The number that the bytes begin with.
pub(super) fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(*bytes.first_chunk().expect(AS_WRITTEN))
}
