//! The frame around every record, checked alone and only valid in its own place.
//!
//! ```text
//!   0      4     8          16       20       24       28     29    32
//!   | magic| crc | segment  | offset | length | synced | kind | 0   | payload .. | 0 to 8 |
//!          └─ CRC32C, seeded with the segment number and offset it is read at ───┘
//! ```
//!
//! Because of the seed, what an earlier life of a recycled segment left behind never looks valid. `synced`
//! is the offset up to which the segment was durable when the record was written: a record that lies above
//! a bad one and says so proves that acknowledged data is damaged.

/// Bytes of a record before its payload.
pub(super) const HEADER_BYTES: usize = 32;

/// Records start at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

const MAGIC: [u8; 4] = *b"MSLr";

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) offset: u32,
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entries = 1,
    HardState = 2,
    Start = 3,
}

/// A record that passed its check.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    /// `None`: a kind this format version does not have.
    pub(super) kind: Option<Kind>,
    pub(super) synced: u32,
    pub(super) payload: &'a [u8],
}

impl Checked<'_> {
    /// Bytes from this record to the next.
    pub(super) fn size(&self) -> usize {
        size(self.payload.len())
    }
}

/// Bytes a record with this much payload takes.
pub(super) fn size(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Fills in the header in front of a payload; `record` is both, without padding.
pub(super) fn seal(record: &mut [u8], at: Position, kind: Kind, synced: u32) {
    let length = u32::try_from(record.len() - HEADER_BYTES).expect("a record fits into a segment");
    record[0..4].copy_from_slice(&MAGIC);
    record[8..16].copy_from_slice(&at.segment.to_le_bytes());
    record[16..20].copy_from_slice(&at.offset.to_le_bytes());
    record[20..24].copy_from_slice(&length.to_le_bytes());
    record[24..28].copy_from_slice(&synced.to_le_bytes());
    record[28..32].copy_from_slice(&[kind as u8, 0, 0, 0]);
    let crc = checksum(at, &record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Whether a header of this place stands here, with whatever behind it.
pub(super) fn claims(bytes: &[u8], at: Position) -> bool {
    bytes.len() >= HEADER_BYTES
        && bytes[0..4] == MAGIC
        && bytes[8..16] == at.segment.to_le_bytes()
        && bytes[16..20] == at.offset.to_le_bytes()
}

/// The record at the start of `bytes`, if it is whole and was written for this place.
pub(super) fn check(bytes: &[u8], at: Position) -> Option<Checked<'_>> {
    if !claims(bytes, at) {
        return None;
    }
    let length = usize::try_from(number(bytes, 20)).ok()?;
    let end = HEADER_BYTES.checked_add(length)?;
    let record = bytes.get(..end)?;
    if number(bytes, 4) != checksum(at, &record[8..]) {
        return None;
    }
    let kind = match record[28] {
        1 => Some(Kind::Entries),
        2 => Some(Kind::HardState),
        3 => Some(Kind::Start),
        _ => None,
    };
    Some(Checked { kind, synced: number(bytes, 24), payload: &record[HEADER_BYTES..] })
}

fn checksum(at: Position, bytes: &[u8]) -> u32 {
    let mut place = [0; 12];
    place[..8].copy_from_slice(&at.segment.to_le_bytes());
    place[8..].copy_from_slice(&at.offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}
