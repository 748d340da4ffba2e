//! One segment file: its name, its header, where its records end.
//!
//! ```text
//!   0        8         12    16                                                      128
//!   | magic  | version | crc | crc | cluster, member, number, size, previous end,     | records ..
//!   └─ the same in every version ─┘ | last index and term, hard state before this one |
//! ```
//!
//! The header says how the log stood when the segment was begun, so older segments can go at any time.
//! `previous end` is where the sealed segment before it ends: everything up to there must be readable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::index::Boundary;
use super::payload;
use super::{HardState, Identity};
use crate::files::File;
use internal_proto::{ClusterId, LogIndex, MemberId, Term};

/// Where the first record of a segment starts.
pub(super) const SEGMENT_HEADER_BYTES: u32 = 128;

/// The format this release writes, and the newest it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"MSLOGSEG";
const PREAMBLE_BYTES: usize = 16;
const CHECKED_FROM: usize = 20;

/// The part of a segment's file name after its number.
pub(super) const SEGMENT_SUFFIX: &str = ".segment";

/// One live segment.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    /// Where the records end; of the newest segment only once it is sealed.
    pub(super) end: u32,
}

/// What the first bytes of a segment say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    pub(super) number: u64,
    pub(super) bytes: u32,
    pub(super) previous_end: u32,
    /// The last entry before this segment.
    pub(super) boundary: Boundary,
    /// The hard state before this segment.
    pub(super) hard_state: HardState,
}

/// What stands where a header is expected.
#[derive(Debug)]
pub(super) enum HeaderCheck {
    /// A header of this format version.
    Valid(SegmentHeader),
    /// A header of a newer format version.
    Newer(u32),
    /// Nothing, or damage.
    Invalid,
}

impl SegmentHeader {
    /// Puts the header into an empty buffer.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.put_slice(&MAGIC);
        buffer.put_u32_le(FORMAT_VERSION);
        buffer.put_u32_le(crc32c::crc32c(buffer));
        buffer.put_u32_le(0);
        buffer.put_u32_le(self.bytes);
        buffer.put_u64_le(self.identity.cluster.0);
        buffer.put_u64_le(self.identity.member.0);
        buffer.put_u64_le(self.number);
        buffer.put_u64_le(self.boundary.index.0);
        buffer.put_u64_le(self.boundary.term.0);
        payload::put_hard_state(buffer, self.hard_state);
        buffer.put_u32_le(self.previous_end);
        buffer.resize(SEGMENT_HEADER_BYTES as usize, 0);
        let crc = crc32c::crc32c(&buffer[CHECKED_FROM..]);
        buffer[PREAMBLE_BYTES..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn check(bytes: &[u8]) -> HeaderCheck {
        match version(bytes) {
            None => HeaderCheck::Invalid,
            Some(version) if version > FORMAT_VERSION => HeaderCheck::Newer(version),
            Some(_) => Self::decode(bytes).map_or(HeaderCheck::Invalid, HeaderCheck::Valid),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES as usize)?;
        let mut rest = bytes.get(PREAMBLE_BYTES..)?;
        if rest.try_get_u32_le().ok()? != crc32c::crc32c(&bytes[CHECKED_FROM..]) {
            return None;
        }
        let size = rest.try_get_u32_le().ok()?;
        let mut next = || rest.try_get_u64_le().ok();
        let identity = Identity { cluster: ClusterId(next()?), member: MemberId(next()?) };
        let number = next()?;
        let boundary = Boundary { index: LogIndex(next()?), term: Term(next()?) };
        let hard_state = payload::hard_state(rest)?;
        rest.advance(payload::HARD_STATE_BYTES);
        let previous_end = rest.try_get_u32_le().ok()?;
        Some(Self { identity, number, bytes: size, previous_end, boundary, hard_state })
    }
}

/// The format version, if a file of ours starts here.
fn version(bytes: &[u8]) -> Option<u32> {
    let mut preamble = bytes.get(..PREAMBLE_BYTES)?;
    let crc = crc32c::crc32c(&preamble[..12]);
    let magic = preamble.split_off(..MAGIC.len())?;
    let version = preamble.try_get_u32_le().ok()?;
    (*magic == MAGIC && preamble.try_get_u32_le().ok()? == crc).then_some(version)
}

/// The file of a segment.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}{SEGMENT_SUFFIX}"))
}

/// The number in a file name such as `00000000000000a1.segment`.
pub(super) fn number_in(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}
