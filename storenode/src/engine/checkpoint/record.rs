//! The records inside of chunks: two lengths or numbers, then bytes.

use bytes::{Buf, BufMut, Bytes};
use internal_proto::KeyValue;

use crate::engine::keys::Record;
use crate::engine::{ChangeId, SmallKey, Version};

/// How many records a checkpoint has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) small: u64,
    pub(super) versions: u64,
}

impl Totals {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.put_u64_le(self.small);
        out.put_u64_le(self.versions);
    }

    pub(super) fn decode(mut payload: &[u8]) -> Option<Self> {
        let totals = Self { small: payload.try_get_u64_le().ok()?, versions: payload.try_get_u64_le().ok()? };
        payload.is_empty().then_some(totals)
    }
}

/// Bytes of a record before its variable part.
pub(super) const RECORD_HEADER_BYTES: usize = 8;

pub(super) fn put_small(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.put_u32_le(length(key));
    out.put_u32_le(length(value));
    out.put_slice(key);
    out.put_slice(value);
}

pub(super) fn put_version(out: &mut Vec<u8>, version: &Version) {
    out.put_u32_le(version.id.sub);
    out.put_u32_le(length(version.kv.encoded()));
    out.put_slice(version.kv.encoded());
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a record fits into a log entry")
}

/// The records of a chunk; `None` if it holds anything else.
pub(super) fn small_records(mut payload: &[u8]) -> Option<Vec<(SmallKey, Bytes)>> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let (key, value) = (payload.try_get_u32_le().ok()?, payload.try_get_u32_le().ok()?);
        let Record::Small(key) = Record::decode(take(&mut payload, key)?)? else { return None };
        records.push((key, Bytes::copy_from_slice(take(&mut payload, value)?)));
    }
    Some(records)
}

/// The versions of a chunk, all above `after` and in order; `None` if it holds anything else.
pub(super) fn versions(mut payload: &[u8], mut after: ChangeId) -> Option<Vec<Version>> {
    let mut versions = Vec::new();
    while !payload.is_empty() {
        let (sub, bytes) = (payload.try_get_u32_le().ok()?, payload.try_get_u32_le().ok()?);
        let kv = KeyValue::from_encoded(take(&mut payload, bytes)?).ok()?;
        let id = ChangeId { revision: kv.mod_revision(), sub };
        if id <= after {
            return None;
        }
        after = id;
        versions.push(Version { id, kv });
    }
    Some(versions)
}

fn take<'a>(payload: &mut &'a [u8], bytes: u32) -> Option<&'a [u8]> {
    payload.split_off(..usize::try_from(bytes).ok()?)
}
