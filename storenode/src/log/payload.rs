//! What is inside a record, all numbers little-endian.
//!
//! ```text
//!   Entries    first index u64 | per entry: term u64, length u32, kind u8, data
//!   HardState  term u64, vote u64, commit u64
//!   Start      index u64, term u64, conf state
//! ```

use bytes::{Buf, BufMut, Bytes};

use internal_proto::{LogIndex, MemberId, Term};

use super::{Entry, EntryKind, HardState, Start};

/// Bytes of an Entries payload before its first entry.
pub(super) const RUN_BYTES: usize = 8;
/// Bytes of a HardState payload.
pub(super) const HARD_STATE_BYTES: usize = 24;
/// Bytes of a Start payload before the conf state.
pub(super) const START_BYTES: usize = 16;

const ENTRY_HEADER_BYTES: usize = 13;

/// Bytes one entry takes in an Entries payload.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_HEADER_BYTES + entry.data.len()
}

/// Encodes entries with consecutive indexes.
pub(super) fn put_entries(buffer: &mut Vec<u8>, entries: &[Entry]) {
    buffer.put_u64_le(entries.first().map_or(0, |entry| entry.index.0));
    for entry in entries {
        buffer.put_u64_le(entry.term.0);
        buffer.put_u32_le(u32::try_from(entry.data.len()).expect("an entry fits into a segment"));
        buffer.put_u8(entry.kind as u8);
        buffer.put_slice(&entry.data);
    }
}

/// One encoded entry.
#[derive(Debug)]
pub(super) struct EntryView<'a> {
    pub(super) index: LogIndex,
    pub(super) term: Term,
    pub(super) kind: EntryKind,
    pub(super) data: &'a [u8],
}

/// The entries of a payload; an item is `None`, and the last, if the payload is malformed.
pub(super) fn entries(mut payload: &[u8]) -> impl Iterator<Item = Option<EntryView<'_>>> {
    let mut index = payload.try_get_u64_le().ok();
    std::iter::from_fn(move || {
        let this = index?;
        if payload.is_empty() {
            return None;
        }
        let view = next_entry(&mut payload, LogIndex(this));
        index = view.as_ref().map(|_| this + 1);
        Some(view)
    })
}

fn next_entry<'a>(payload: &mut &'a [u8], index: LogIndex) -> Option<EntryView<'a>> {
    let term = Term(payload.try_get_u64_le().ok()?);
    let length = usize::try_from(payload.try_get_u32_le().ok()?).ok()?;
    let kind = match payload.try_get_u8().ok()? {
        0 => EntryKind::Normal,
        1 => EntryKind::ConfChange,
        2 => EntryKind::ConfChangeV2,
        _ => return None,
    };
    let (data, rest) = payload.split_at_checked(length)?;
    *payload = rest;
    Some(EntryView { index, term, kind, data })
}

pub(super) fn put_hard_state(buffer: &mut impl BufMut, hard_state: HardState) {
    buffer.put_u64_le(hard_state.term.0);
    buffer.put_u64_le(hard_state.vote.0);
    buffer.put_u64_le(hard_state.commit.0);
}

pub(super) fn hard_state(mut payload: &[u8]) -> Option<HardState> {
    Some(HardState {
        term: Term(payload.try_get_u64_le().ok()?),
        vote: MemberId(payload.try_get_u64_le().ok()?),
        commit: LogIndex(payload.try_get_u64_le().ok()?),
    })
}

pub(super) fn put_start(buffer: &mut Vec<u8>, start: &Start) {
    buffer.put_u64_le(start.index.0);
    buffer.put_u64_le(start.term.0);
    buffer.put_slice(&start.conf_state);
}

pub(super) fn start(mut payload: &[u8]) -> Option<Start> {
    let index = LogIndex(payload.try_get_u64_le().ok()?);
    let term = Term(payload.try_get_u64_le().ok()?);
    Some(Start { index, term, conf_state: Bytes::copy_from_slice(payload) })
}
