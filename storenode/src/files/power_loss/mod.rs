//! A file system in memory that forgets what was not synced: for tests and simulation.
//!
//! ```text
//!   write ─► seen by reads ── sync_data ─► durable
//!                 └────────── power_loss ─► per sector: old, new, or torn in the middle
//!   create, rename, remove ── sync_dir ──► durable
//!                 └────────── power_loss ─► any subset of them happened
//! ```
//!
//! A test runs a node on it, cuts the power at a chosen operation with
//! [`PowerLoss::cut_power_after`], calls [`PowerLoss::power_loss`] and starts the node again on
//! the same value. Everything follows from the seed and the order of calls, so a failing seed replays.
//! Handles opened before a power loss fail for good, as their process would be gone.
//!
//! Further faults: a failing sync, a full disk, syncs that do nothing (a planted defect that suites must
//! find), damage to stored bytes, and a hook that delays syncs.

mod disk;
mod inode;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{File, Files};
use disk::Disk;

/// Runs before every file sync, outside the disk's lock, so it may block.
pub type SyncHook = Arc<dyn Fn() + Send + Sync>;

/// The simulated disk. Clones share it.
#[derive(Clone)]
pub struct PowerLoss {
    disk: Arc<Mutex<Disk>>,
    sync_hook: Arc<Mutex<Option<SyncHook>>>,
}

struct Handle {
    files: PowerLoss,
    inode: u64,
    boot: u64,
}

impl PowerLoss {
    /// An empty disk; `seed` decides what power losses destroy.
    pub fn new(seed: u64) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed))), sync_hook: Arc::default() }
    }

    /// The power goes and comes back: unsynced bytes and directory changes are lost, kept or torn, open
    /// handles die, a pending [`Self::cut_power_after`] is over. Other faults stay as they are.
    pub fn power_loss(&self) {
        let mut disk = self.disk.lock();
        let survival = disk.draw_survival();
        disk.lose_power(survival);
    }

    /// A power loss at its worst: nothing unsynced survives.
    pub fn lose_unsynced(&self) {
        self.disk.lock().lose_power(0.0);
    }

    /// The process dies, the machine does not: open handles die, nothing is lost, a pending
    /// [`Self::cut_power_after`], which is a kill then, is over.
    pub fn kill(&self) {
        self.disk.lock().restart();
    }

    /// Cuts the power in the middle of the changing operation that follows `operations` further ones. From
    /// then on every call fails, until [`Self::power_loss`] or [`Self::kill`] brings the disk back.
    pub fn cut_power_after(&self, operations: u64) {
        self.disk.lock().faults.operations_until_cut = Some(operations);
    }

    /// Whether a cut has come and every call fails.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.disk.lock().is_off()
    }

    /// How many changing operations (writes, syncs, creations, renames, removals) there have been.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// Lets the file sync that follows `syncs` further ones fail, once; what it should have made durable
    /// is readable until the next power loss and gone then. `None` takes it back.
    pub fn fail_sync_after(&self, syncs: Option<u64>) {
        self.disk.lock().faults.syncs_until_failure = syncs;
    }

    /// Files together may grow to `bytes`; `None`: without limit. Less than is used now stops all growth.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().faults.capacity = bytes;
    }

    /// Bytes in all files.
    pub fn used(&self) -> u64 {
        self.disk.lock().used()
    }

    /// While true, file syncs succeed without making anything durable.
    pub fn ignore_syncs(&self, ignore: bool) {
        self.disk.lock().faults.ignore_syncs = ignore;
    }

    /// Calls `hook` before every file sync; `None` removes it.
    pub fn before_sync(&self, hook: Option<SyncHook>) {
        *self.sync_hook.lock() = hook;
    }

    /// Changes a file's content as a failing medium or a careless hand would, durable at once.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let inode = disk.inode_of(path)?;
        disk.inode(inode).damage(change);
        Ok(())
    }

    /// Runs `operation` on the disk if it has power.
    fn with_disk<T>(&self, operation: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        disk.check_power(disk.boot)?;
        operation(&mut disk)
    }

    fn handle(&self, inode: u64, boot: u64) -> Arc<dyn File> {
        Arc::new(Handle { files: self.clone(), inode, boot })
    }
}

impl Files for PowerLoss {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let (inode, boot) = self.with_disk(|disk| Ok((disk.create(path)?, disk.boot)))?;
        Ok(self.handle(inode, boot))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let (inode, boot) = self.with_disk(|disk| Ok((disk.inode_of(path)?, disk.boot)))?;
        Ok(self.handle(inode, boot))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with_disk(|disk| disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with_disk(|disk| disk.remove(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.with_disk(|disk| disk.list(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.with_disk(|disk| {
            disk.create_dir(dir);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.with_disk(|disk| disk.sync_dir(dir))
    }
}

impl Handle {
    fn with_disk<T>(&self, operation: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.files.disk.lock();
        disk.check_power(self.boot)?;
        operation(&mut disk)
    }
}

impl File for Handle {
    fn size(&self) -> io::Result<u64> {
        self.with_disk(|disk| Ok(disk.inode(self.inode).bytes().len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.with_disk(|disk| {
            let bytes = disk.inode(self.inode).bytes().get(offset..offset + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with_disk(|disk| disk.write(self.inode, bytes, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        let hook = self.files.sync_hook.lock().clone();
        if let Some(hook) = hook {
            hook();
        }
        self.with_disk(|disk| disk.sync(self.inode))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let zeros = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.write_at(&zeros, 0)?;
        self.with_disk(|disk| disk.sync(self.inode))
    }
}
