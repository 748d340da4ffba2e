//! The simulated disk: files, directory entries, and the changes to them that no directory sync covers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::inode::Inode;

/// How likely an unsynced sector or directory change survives, drawn once per power loss: losing nearly
/// everything and losing nearly nothing find different defects.
const SURVIVAL: [f64; 5] = [0.0, 0.2, 0.5, 0.8, 1.0];

/// Names of files and the inodes they lead to.
type Entries = BTreeMap<PathBuf, u64>;

enum Change {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    /// All names of one change are in one directory.
    fn dir(&self) -> Option<&Path> {
        let (Self::Link(path, _) | Self::Rename(path, _) | Self::Remove(path)) = self;
        path.parent()
    }

    fn apply(&self, entries: &mut Entries) {
        match self {
            Self::Link(path, inode) => {
                entries.insert(path.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = entries.remove(from) {
                    entries.insert(to.clone(), inode);
                }
            }
            Self::Remove(path) => {
                entries.remove(path);
            }
        }
    }
}

/// The faults a test has switched on.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) capacity: Option<u64>,
    pub(super) syncs_until_failure: Option<u64>,
    pub(super) operations_until_cut: Option<u64>,
    pub(super) ignore_syncs: bool,
}

pub(super) struct Disk {
    pub(super) faults: Faults,
    /// Counts power losses: handles of an earlier boot are dead.
    pub(super) boot: u64,
    /// Writes, syncs, creations, renames and removals since the disk exists.
    pub(super) operations: u64,
    powered: bool,
    inodes: HashMap<u64, Inode>,
    entries: Entries,
    durable_entries: Entries,
    pending: Vec<Change>,
    dirs: BTreeSet<PathBuf>,
    next_inode: u64,
    random: SmallRng,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            faults: Faults::default(),
            boot: 0,
            operations: 0,
            powered: true,
            inodes: HashMap::new(),
            entries: Entries::new(),
            durable_entries: Entries::new(),
            pending: Vec::new(),
            dirs: BTreeSet::new(),
            next_inode: 0,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    pub(super) fn check_power(&self, boot: u64) -> io::Result<()> {
        if self.powered && boot == self.boot { Ok(()) } else { Err(power_is_off()) }
    }

    /// Counts one operation that changes the disk; true if the power goes in the middle of it.
    pub(super) fn is_cut_now(&mut self) -> bool {
        self.operations += 1;
        match &mut self.faults.operations_until_cut {
            Some(0) => {
                self.powered = false;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    pub(super) fn inode_of(&self, path: &Path) -> io::Result<u64> {
        self.entries.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.entry(inode).or_default()
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        if self.entries.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|dir| self.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.next_inode += 1;
        self.change(Change::Link(path.to_owned(), self.next_inode))?;
        Ok(self.next_inode)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if from.parent() != to.parent() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a rename stays in its directory"));
        }
        self.inode_of(from)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.inode_of(path)?;
        self.change(Change::Remove(path.to_owned()))
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        let cut = self.is_cut_now();
        change.apply(&mut self.entries);
        self.pending.push(change);
        if cut { Err(power_is_off()) } else { Ok(()) }
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.check_space(inode, offset + bytes.len())?;
        let cut = self.is_cut_now();
        self.inode(inode).write(bytes, offset);
        if cut { Err(power_is_off()) } else { Ok(()) }
    }

    fn check_space(&mut self, inode: u64, end: usize) -> io::Result<()> {
        let growth = end.saturating_sub(self.inode(inode).bytes().len());
        match self.faults.capacity {
            Some(capacity) if growth > 0 && self.used() + growth as u64 > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn used(&self) -> u64 {
        let sizes = self.entries.values().filter_map(|inode| self.inodes.get(inode));
        sizes.map(|inode| inode.bytes().len() as u64).sum()
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        if self.is_cut_now() {
            return Err(power_is_off());
        }
        match &mut self.faults.syncs_until_failure {
            Some(0) => {
                self.faults.syncs_until_failure = None;
                self.inode(inode).fail_sync();
                return Err(io::Error::other("input/output error"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if !self.faults.ignore_syncs {
            self.inode(inode).sync();
        }
        Ok(())
    }

    pub(super) fn create_dir(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        if self.is_cut_now() {
            return Err(power_is_off());
        }
        let durable = &mut self.durable_entries;
        self.pending.retain(|change| {
            let here = change.dir() == Some(dir);
            if here {
                change.apply(durable);
            }
            !here
        });
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        if !self.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = self.entries.keys().filter(|path| path.parent() == Some(dir));
        Ok(paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    pub(super) fn draw_survival(&mut self) -> f64 {
        SURVIVAL[self.random.random_range(0..SURVIVAL.len())]
    }

    pub(super) fn lose_power(&mut self, survival: f64) {
        for change in std::mem::take(&mut self.pending) {
            if self.random.random_bool(survival) {
                change.apply(&mut self.durable_entries);
            }
        }
        self.entries = self.durable_entries.clone();
        let reachable: BTreeSet<u64> = self.entries.values().copied().collect();
        self.inodes.retain(|inode, _| reachable.contains(inode));
        // In the order of inode numbers: the same seed must always give the same loss.
        for inode in reachable {
            self.inodes.entry(inode).or_default().lose_power(&mut self.random, survival);
        }
        self.restart();
    }

    pub(super) const fn is_off(&self) -> bool {
        !self.powered
    }

    pub(super) fn restart(&mut self) {
        self.boot += 1;
        self.powered = true;
        self.faults.operations_until_cut = None;
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}
