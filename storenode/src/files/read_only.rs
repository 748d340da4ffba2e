//! The operating system's files, looked at and left as they are: changes are taken and forgotten.
//!
//! Whoever recovers on it sees what a start would see, up to what a start would write.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, File, Files};

/// The real file system, without changes.
#[derive(Debug, Default, Clone, Copy)]
pub struct ReadOnly;

/// A file that keeps its content; `None`: one that was to be made, and was not.
struct Unchanged(Option<fs::File>);

impl Files for ReadOnly {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Unchanged(None)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Unchanged(Some(fs::File::open(path)?))))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list(dir)
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl File for Unchanged {
    fn size(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), |file| Ok(file.metadata()?.len()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let file = self.0.as_ref().ok_or(io::ErrorKind::UnexpectedEof)?;
        file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
}
