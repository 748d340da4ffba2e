//! Every single damage that a careless hand or a failing medium can do to one small checkpoint is refused.

use std::ops::Range;
use std::path::{Path, PathBuf};

use internal_proto::LeaseId;

use super::super::CheckpointError;
use super::super::chunk::CHUNK_HEADER_BYTES;
use super::super::format::{HEADER_BYTES, checkpoint_name};
use super::IDENTITY;
use super::store::Store;
use crate::engine::SmallKey;
use crate::files::{Files, PowerLoss};

const DIR: &str = "/data";

/// Where the chunks of an undamaged checkpoint are.
pub(super) fn chunks(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = HEADER_BYTES;
    while start < bytes.len() {
        let length = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap());
        let end = start + CHUNK_HEADER_BYTES + length as usize;
        chunks.push(start..end);
        start = end;
    }
    chunks
}

/// The file with two chunks in each other's place.
pub(super) fn exchange(bytes: &[u8], one: usize, other: usize) -> Vec<u8> {
    let mut chunks = chunks(bytes);
    chunks.swap(one, other);
    chunks.iter().fold(bytes[..HEADER_BYTES].to_vec(), |file, chunk| [&file, &bytes[chunk.clone()]].concat())
}

/// The file without a chunk.
pub(super) fn without(bytes: &[u8], number: usize) -> Vec<u8> {
    let chunk = chunks(bytes).remove(number);
    [&bytes[..chunk.start], &bytes[chunk.end..]].concat()
}

/// Makes the file one of the next format version.
pub(super) fn make_newer(bytes: &mut [u8]) {
    bytes[8] += 1;
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// A checkpoint that fills several chunks of both kinds, after so many earlier entries: its file, and its bytes.
fn checkpoint(files: &PowerLoss, entries: usize) -> (PathBuf, Vec<u8>) {
    let store = Store::new();
    (0..entries).for_each(|_| store.set(SmallKey::ConfState, "learners"));
    store.set(SmallKey::ConfState, "voters");
    store.set(SmallKey::Lease(LeaseId(7)), &"x".repeat(100));
    for key in ["a", "b", "c", "a"] {
        store.change(&[(key, Some(&[b'1'; 40]))], LeaseId(0));
    }
    store.change(&[("a", None), ("b", Some(b""))], LeaseId(7));
    let written = store.write(files, Path::new(DIR), IDENTITY).unwrap();
    let path = Path::new(DIR).join(checkpoint_name(written.index));
    let bytes = files.read(&path).unwrap();
    (path, bytes)
}

struct Refused {
    files: PowerLoss,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Refused {
    fn new() -> Self {
        let files = PowerLoss::new(1);
        let (path, bytes) = checkpoint(&files, 0);
        Store::load(&files, Path::new(DIR), IDENTITY).unwrap();
        Self { files, path, bytes }
    }

    /// Loads the damaged file, which must be refused at `offset`, if that is known.
    fn check(&self, what: &str, damaged: Vec<u8>, expected: Option<usize>) {
        self.files.damage(&self.path, |content| *content = damaged).unwrap();
        match Store::load(&self.files, Path::new(DIR), IDENTITY) {
            Err(CheckpointError::Damaged { file, offset }) => {
                assert_eq!(file, self.path, "{what}");
                assert_eq!(offset, expected.unwrap_or(offset as usize) as u64, "{what}");
            }
            Err(error) => panic!("{what}: {error}"),
            Ok(_) => panic!("{what}: the checkpoint was loaded"),
        }
        assert!(self.files.list(Path::new(DIR)).unwrap().len() == 1, "{what}: a refused checkpoint stays");
    }
}

#[test]
fn every_flipped_bit_is_refused_where_it_is() {
    let refused = Refused::new();
    let chunks = chunks(&refused.bytes);
    assert!(chunks.len() >= 5);
    for offset in 0..refused.bytes.len() {
        let expected = chunks.iter().find(|chunk| chunk.contains(&offset)).map_or(0, |chunk| chunk.start);
        for bit in [0, 3, 7] {
            let mut damaged = refused.bytes.clone();
            damaged[offset] ^= 1 << bit;
            refused.check(&format!("bit {bit} of byte {offset}"), damaged, Some(expected));
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    let refused = Refused::new();
    for length in 0..refused.bytes.len() + 40 {
        let mut damaged = refused.bytes.clone();
        damaged.resize(length, 0);
        if length != refused.bytes.len() {
            refused.check(&format!("{length} bytes"), damaged, None);
        }
    }
}

#[test]
fn every_exchanged_missing_repeated_or_foreign_chunk_is_refused() {
    let refused = Refused::new();
    let chunks = chunks(&refused.bytes);
    let other_index = checkpoint(&PowerLoss::new(2), 1).1;
    assert_eq!(other_index.len(), refused.bytes.len());
    for (number, chunk) in chunks.iter().enumerate() {
        for (other, first) in chunks[..number].iter().enumerate() {
            refused.check("exchanged", exchange(&refused.bytes, number, other), Some(first.start));
        }
        refused.check("missing", without(&refused.bytes, number), Some(chunk.start));
        let repeated = [&refused.bytes[..chunk.end], &refused.bytes[chunk.start..]].concat();
        refused.check("repeated", repeated, None);
        let mut foreign = refused.bytes.clone();
        foreign[chunk.clone()].copy_from_slice(&other_index[chunk.clone()]);
        refused.check("of another checkpoint", foreign, Some(chunk.start));
    }
}
