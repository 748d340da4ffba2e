//! Retained versions in the order of history: appended at the end, thinned out by compaction.
//!
//! Invariant: blocks are in ascending order and never empty; a block's key is at or below its first entry.

use std::collections::BTreeMap;

use internal_proto::{KeyValue, Revision};

use crate::engine::Version;
use crate::engine::keys::ChangeId;

/// Entries per block, 6 KiB.
const BLOCK: usize = 256;

/// Versions in the order of history.
#[derive(Debug, Default)]
pub(super) struct History {
    blocks: BTreeMap<ChangeId, Vec<(ChangeId, KeyValue)>>,
}

impl History {
    /// Room for so many entries is allocated.
    pub(super) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// Adds a version above all others.
    pub(super) fn append(&mut self, version: &Version) {
        let entry = (version.id, version.kv.clone());
        match self.blocks.last_entry() {
            Some(mut last) if last.get().len() < BLOCK => last.get_mut().push(entry),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(entry);
                self.blocks.insert(version.id, block);
            }
        }
    }

    /// Takes a version out, if it is there.
    pub(super) fn remove(&mut self, id: ChangeId) {
        let mut around = self.blocks.range_mut(..=id);
        let Some((&first, block)) = around.next_back() else { return };
        let Ok(at) = block.binary_search_by_key(&id, |(id, _)| *id) else { return };
        block.remove(at);
        if block.is_empty() {
            self.blocks.remove(&first);
        } else if block.len() < BLOCK / 4
            && let Some((_, before)) = around.next_back()
            && before.len() + block.len() <= BLOCK / 2
        {
            before.append(block);
            self.blocks.remove(&first);
        }
    }

    /// Everything after an id, through a revision.
    pub(super) fn after(&self, after: ChangeId, through: Revision) -> impl Iterator<Item = Version> {
        let start = self.blocks.range(..=after).next_back().map_or(after, |(&first, _)| first);
        self.blocks
            .range(start..)
            .flat_map(move |(_, block)| &block[block.partition_point(|(id, _)| *id <= after)..])
            .take_while(move |(id, _)| id.revision <= through)
            .map(|(id, kv)| Version { id: *id, kv: kv.clone() })
    }
}
