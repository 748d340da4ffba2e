//! The bytes of a checkpoint, chunk by chunk: into a file, or to another member.
//!
//! ```text
//!   header ─► small records ─► versions in the order of history ─► totals
//! ```
//!
//! Invariant: one content gives the same chunks whenever it is read, so what was lost on the way can be read again.

use std::collections::VecDeque;

use super::Content;
use super::chunk::{CHUNK_HEADER_BYTES, Kind, Place, seal};
use super::format::Header;
use super::record::{self, RECORD_HEADER_BYTES, Totals};
use crate::engine::keys::Record;
use crate::engine::{CHUNK, ChangeId, Version};
use crate::identity::Identity;

/// A checkpoint as an iterator over what its file consists of.
pub struct Chunks<C> {
    content: C,
    header: Header,
    chunk_bytes: usize,
    part: Part,
    /// The chunk that is being filled, from its header on.
    chunk: Vec<u8>,
    place: Place,
    /// Small records that are done.
    small: usize,
    /// The version read last, and those read and not yet taken.
    after: ChangeId,
    page: VecDeque<Version>,
    totals: Totals,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Header,
    Small,
    Versions,
    End,
    Over,
}

impl<C: Content> Chunks<C> {
    /// The checkpoint of a content for a member's directory. A chunk is not larger than `chunk_bytes`, unless one
    /// record alone is.
    pub fn new(content: C, identity: Identity, chunk_bytes: usize) -> Self {
        let header = Header { identity, position: content.position() };
        Self {
            content,
            header,
            chunk_bytes,
            part: Part::Header,
            chunk: vec![0; CHUNK_HEADER_BYTES],
            place: Place { checkpoint: 0, number: 0 },
            small: 0,
            after: ChangeId::default(),
            page: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    /// Whether nothing is left.
    pub const fn is_over(&self) -> bool {
        matches!(self.part, Part::Over)
    }

    /// Whether a record can join the chunk.
    fn fits(&self, bytes: usize) -> bool {
        let empty = self.chunk.len() == CHUNK_HEADER_BYTES;
        empty || self.chunk.len() + RECORD_HEADER_BYTES + bytes <= CHUNK_HEADER_BYTES + self.chunk_bytes
    }

    fn take(&mut self, kind: Kind) -> Option<Vec<u8>> {
        if self.chunk.len() == CHUNK_HEADER_BYTES {
            return None;
        }
        let mut empty = Vec::with_capacity(CHUNK_HEADER_BYTES + self.chunk_bytes);
        empty.resize(CHUNK_HEADER_BYTES, 0);
        let mut full = std::mem::replace(&mut self.chunk, empty);
        seal(&mut full, kind, self.place);
        self.place = self.place.next();
        Some(full)
    }

    /// Fills a chunk with small records; whether there are more.
    fn fill_small(&mut self) -> bool {
        while let Some((key, value)) = self.content.small_records().get(self.small) {
            let key = Record::Small(key.clone()).encode();
            if !self.fits(key.len() + value.len()) {
                return true;
            }
            record::put_small(&mut self.chunk, &key, value);
            self.small += 1;
            self.totals.small += 1;
        }
        false
    }

    /// Fills a chunk with versions; whether there are more.
    fn fill_versions(&mut self) -> bool {
        loop {
            if self.page.is_empty() {
                self.page = self.content.versions(self.after, CHUNK).into();
            }
            let Some(version) = self.page.front() else { return false };
            if !self.fits(version.kv.encoded().len()) {
                return true;
            }
            record::put_version(&mut self.chunk, version);
            self.after = version.id;
            self.totals.versions += 1;
            self.page.pop_front();
        }
    }
}

impl<C: Content> Iterator for Chunks<C> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let full = match self.part {
                Part::Header => {
                    let (bytes, checkpoint) = self.header.encode();
                    self.place.checkpoint = checkpoint;
                    self.part = Part::Small;
                    Some(bytes)
                }
                Part::Small => {
                    if !self.fill_small() {
                        self.part = Part::Versions;
                    }
                    self.take(Kind::Small)
                }
                Part::Versions => {
                    if !self.fill_versions() {
                        self.part = Part::End;
                    }
                    self.take(Kind::Versions)
                }
                Part::End => {
                    self.totals.put(&mut self.chunk);
                    self.part = Part::Over;
                    self.take(Kind::End)
                }
                Part::Over => return None,
            };
            if full.is_some() {
                return full;
            }
        }
    }
}
