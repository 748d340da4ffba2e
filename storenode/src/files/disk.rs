//! The operating system's files.
//!
//! `allocate` really writes zeros after reserving the blocks: writing into reserved but unwritten blocks
//! changes the file's metadata, and every fdatasync would then wait for the file system's journal too.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{File, Files};

/// Zeros are written and synced in pieces of this size, so that the syncs of a busy log on the same disk
/// never queue behind a whole segment of them.
const ZEROING_BYTES: usize = 1 << 20;

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct Disk;

struct DiskFile(fs::File);

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Arc::new(DiskFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(DiskFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // Every name of ours is ASCII; what is not UTF-8 belongs to somebody else.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        self.create_dir(parent)?;
        fs::DirBuilder::new().mode(0o700).create(dir)?;
        self.sync_dir(parent)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }
}

impl File for DiskFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        reserve_blocks(&self.0, bytes)?;
        let zeros = vec![0; ZEROING_BYTES];
        let mut offset = 0;
        while offset < bytes {
            let piece = usize::try_from(bytes - offset).map_or(ZEROING_BYTES, |left| left.min(ZEROING_BYTES));
            self.0.write_all_at(&zeros[..piece], offset)?;
            self.0.sync_data()?;
            offset += piece as u64;
        }
        self.0.sync_all()
    }
}

/// Asks for all blocks at once: a full disk is known before the first zero is written, and the blocks lie
/// together. File systems without the call find out while zeroing.
#[cfg(target_os = "linux")]
fn reserve_blocks(file: &fs::File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve_blocks(_: &fs::File, _: u64) -> io::Result<()> {
    Ok(())
}
