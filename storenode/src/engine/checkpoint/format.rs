//! A checkpoint's name and header.
//!
//! ```text
//!   0        8         12    16    20                                                         68
//!   | magic  | version | crc | crc | cluster, member, index, term, revision, compacted revision | chunks ..
//!   └─ the same in every version ─┘
//! ```

use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use internal_proto::{ClusterId, LogIndex, MemberId, Revision, Term};

use crate::engine::Position;
use crate::identity::Identity;

/// The format this release writes, and the newest it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Where the first chunk starts.
pub(super) const HEADER_BYTES: usize = 68;

const MAGIC: [u8; 8] = *b"MSCHKPNT";
const PREAMBLE_BYTES: usize = 16;
const CHECKED_FROM: usize = 20;

const SUFFIX: &str = ".checkpoint";
const WRITING_SUFFIX: &str = ".writing";
const STAGING_SUFFIX: &str = ".staging";
const STAGED_SUFFIX: &str = ".staged";

/// What the first bytes of a checkpoint say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: Identity,
    pub(super) position: Position,
}

/// What stands where a header is expected.
#[derive(Debug)]
pub(super) enum HeaderCheck {
    /// A header of this format version, and the seed of the chunks behind it.
    Valid(Header, u32),
    /// A header of a newer format version.
    Newer(u32),
    /// Damage.
    Invalid,
}

impl Header {
    /// The header on disk, and the seed of the chunks behind it.
    pub(super) fn encode(&self) -> (Vec<u8>, u32) {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.put_slice(&MAGIC);
        bytes.put_u32_le(FORMAT_VERSION);
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes.put_u32_le(0);
        bytes.put_u64_le(self.identity.cluster.0);
        bytes.put_u64_le(self.identity.member.0);
        bytes.put_u64_le(self.position.applied.0);
        bytes.put_u64_le(self.position.term.0);
        bytes.put_i64_le(self.position.revision.0);
        bytes.put_i64_le(self.position.compacted.0);
        let crc = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[PREAMBLE_BYTES..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
        (bytes, crc)
    }

    /// Checks the first bytes of a file, [`HEADER_BYTES`] of them if it has as many.
    pub(super) fn check(bytes: &[u8]) -> HeaderCheck {
        match version(bytes) {
            None => HeaderCheck::Invalid,
            Some(version) if version > FORMAT_VERSION => HeaderCheck::Newer(version),
            Some(_) => {
                Self::decode(bytes).map_or(HeaderCheck::Invalid, |(header, crc)| HeaderCheck::Valid(header, crc))
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let mut rest = bytes.get(PREAMBLE_BYTES..HEADER_BYTES)?;
        let crc = rest.try_get_u32_le().ok()?;
        if crc != crc32c::crc32c(&bytes[CHECKED_FROM..]) {
            return None;
        }
        let mut next = || rest.try_get_u64_le().ok();
        let identity = Identity { cluster: ClusterId(next()?), member: MemberId(next()?) };
        let position = Position {
            applied: LogIndex(next()?),
            term: Term(next()?),
            revision: Revision(next()?.cast_signed()),
            compacted: Revision(next()?.cast_signed()),
        };
        Some((Self { identity, position }, crc))
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

/// The name of the checkpoint at an index: fixed length, so that names sort as indexes do.
pub(super) fn checkpoint_name(index: LogIndex) -> String {
    format!("{:016x}{SUFFIX}", index.0)
}

/// The file of a checkpoint that is being written.
pub(super) fn writing_path(dir: &Path, index: LogIndex) -> PathBuf {
    dir.join(format!("{:016x}{WRITING_SUFFIX}", index.0))
}

/// The file of another member's checkpoint that is still coming.
pub(super) fn staging_path(dir: &Path, index: LogIndex) -> PathBuf {
    dir.join(format!("{:016x}{STAGING_SUFFIX}", index.0))
}

/// The file of another member's checkpoint that has come.
pub(super) fn staged_path(dir: &Path, index: LogIndex) -> PathBuf {
    dir.join(format!("{:016x}{STAGED_SUFFIX}", index.0))
}

/// Whether a file is part of another member's checkpoint.
pub(super) fn is_staging(name: &str) -> bool {
    name.ends_with(STAGING_SUFFIX)
}

/// The index of the staged checkpoint of this name, if it is one.
pub(super) fn staged_index(name: &str) -> Option<LogIndex> {
    let digits = name.strip_suffix(STAGED_SUFFIX)?;
    u64::from_str_radix(digits, 16).ok().map(LogIndex)
}

/// Whether a file calls itself a checkpoint, under whatever name before the suffix.
pub(super) fn is_checkpoint(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// Whether a file is what a crash left of a checkpoint being written.
pub(super) fn is_leftover(name: &str) -> bool {
    name.ends_with(WRITING_SUFFIX)
}
