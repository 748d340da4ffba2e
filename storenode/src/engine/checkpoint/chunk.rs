//! One chunk of a checkpoint, checked alone and only valid in its own place.
//!
//! ```text
//!   0      4        8     12    16
//!   | kind | length | crc | crc | payload ..          small:     | key bytes | value bytes | key | value | ..
//!   └──── checked ──┘  │     └─ of the payload        versions:  | sub | bytes | KeyValue | ..
//!                      └─ checked before `length`     end:       | small records | versions |
//!                         is believed
//! ```
//!
//! Both checksums are CRC32Cs seeded with the checkpoint's own and the chunk's number: a chunk of another checkpoint,
//! or in another place, never looks valid, and one that is missing makes its successor look so.

use bytes::{Buf, BufMut};

/// Bytes of a chunk before its payload.
pub(super) const CHUNK_HEADER_BYTES: usize = 16;

/// What a chunk holds; the numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Records without history.
    Small = 1,
    /// Versions in the order of history.
    Versions = 2,
    /// The totals; nothing follows.
    End = 3,
}

/// Where a chunk belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The checksum of the checkpoint's header.
    pub(super) checkpoint: u32,
    /// Chunks before this one.
    pub(super) number: u64,
}

impl Place {
    /// The place after this one.
    pub(super) const fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    fn checksum(self, bytes: &[u8]) -> u32 {
        let seed = crc32c::crc32c_append(self.checkpoint, &self.number.to_le_bytes());
        crc32c::crc32c_append(seed, bytes)
    }
}

/// A chunk header that passed its check.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkHeader {
    pub(super) kind: Kind,
    /// Bytes of payload.
    pub(super) length: u32,
    crc: u32,
}

impl ChunkHeader {
    /// The header at a place, if it was written for it.
    pub(super) fn check(bytes: &[u8; CHUNK_HEADER_BYTES], place: Place) -> Option<Self> {
        let mut rest = &bytes[..];
        let kind = match rest.get_u32_le() {
            1 => Kind::Small,
            2 => Kind::Versions,
            3 => Kind::End,
            _ => return None,
        };
        let length = rest.get_u32_le();
        let checked = rest.get_u32_le() == place.checksum(&bytes[..8]);
        checked.then(|| Self { kind, length, crc: rest.get_u32_le() })
    }

    /// Whether this is the header's payload.
    pub(super) fn covers(&self, payload: &[u8], place: Place) -> bool {
        place.checksum(payload) == self.crc
    }
}

/// Fills in the header in front of a payload; `chunk` is both.
pub(super) fn seal(chunk: &mut [u8], kind: Kind, place: Place) {
    let (mut header, payload) = chunk.split_at_mut(CHUNK_HEADER_BYTES);
    let length = u32::try_from(payload.len()).expect("a chunk is bounded, and a record fits into a log entry");
    let crc = place.checksum(payload);
    let mut checked = [0; 8];
    checked[..4].copy_from_slice(&(kind as u32).to_le_bytes());
    checked[4..].copy_from_slice(&length.to_le_bytes());
    header.put_slice(&checked);
    header.put_u32_le(place.checksum(&checked));
    header.put_u32_le(crc);
}
