//! One file of the simulated disk: what programs see, and per sector what the platter still holds.
//!
//! ```text
//!   bytes     [ a | B | C | d ]     what reads return
//!   unsynced      b   c             the sector before its first write since the last sync
//! ```

use std::collections::BTreeMap;

use rand::Rng;

/// What a disk writes atomically at best; the simulation tears even that.
const SECTOR_BYTES: usize = 512;

type Sector = [u8; SECTOR_BYTES];

#[derive(Default)]
pub(super) struct Inode {
    bytes: Vec<u8>,
    durable_size: usize,
    /// Sectors written since the last sync, as they are on the platter.
    unsynced: BTreeMap<usize, Sector>,
    /// Sectors a failed sync dropped: never durable, unless they are written and synced again.
    dropped: BTreeMap<usize, Sector>,
}

impl Inode {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            self.remember(sector);
        }
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
    }

    fn remember(&mut self, sector: usize) {
        let platter = self.dropped.remove(&sector).unwrap_or_else(|| self.sector(sector));
        self.unsynced.entry(sector).or_insert(platter);
    }

    fn sector(&self, sector: usize) -> Sector {
        let mut content = [0; SECTOR_BYTES];
        let start = (sector * SECTOR_BYTES).min(self.bytes.len());
        let end = (start + SECTOR_BYTES).min(self.bytes.len());
        content[..end - start].copy_from_slice(&self.bytes[start..end]);
        content
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        self.durable_size = self.bytes.len();
    }

    /// As Linux does it: the pages count as clean afterwards, but their content is on no disk.
    pub(super) fn fail_sync(&mut self) {
        for (sector, platter) in std::mem::take(&mut self.unsynced) {
            self.dropped.entry(sector).or_insert(platter);
        }
    }

    /// Replaces the content behind everybody's back, on the platter too.
    pub(super) fn damage(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.bytes);
        self.unsynced.clear();
        self.dropped.clear();
        self.durable_size = self.bytes.len();
    }

    /// Each unsynced sector survives with probability `survival`, torn in the middle now and then.
    pub(super) fn lose_power(&mut self, random: &mut impl Rng, survival: f64) {
        let mut platter = std::mem::take(&mut self.dropped);
        for (sector, old) in std::mem::take(&mut self.unsynced) {
            let new = self.sector(sector);
            let mut content = if random.random_bool(survival) { new } else { old };
            if survival > 0.0 && survival < 1.0 && random.random_ratio(1, 8) {
                let tear = random.random_range(0..SECTOR_BYTES);
                content[..tear].copy_from_slice(&old[..tear]);
                content[tear..].copy_from_slice(&new[tear..]);
            }
            platter.insert(sector, content);
        }
        if self.bytes.len() > self.durable_size && !random.random_bool(survival) {
            self.bytes.truncate(self.durable_size);
        }
        for (sector, content) in platter {
            let start = (sector * SECTOR_BYTES).min(self.bytes.len());
            let end = (start + SECTOR_BYTES).min(self.bytes.len());
            self.bytes[start..end].copy_from_slice(&content[..end - start]);
        }
        self.durable_size = self.bytes.len();
    }
}
