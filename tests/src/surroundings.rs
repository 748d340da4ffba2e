//! Where a server process runs: like any other, or with a filesystem or a memory of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::Program;
use crate::memory_group::MemoryGroup;
use crate::powered_disk::PoweredDisk;
use crate::process::{Server, StartFailure};
use crate::small_disk::SmallDisk;

/// What a process has around it.
pub enum Surroundings {
    /// What everybody has.
    Shared,
    /// A small filesystem for its data.
    SmallDisk(SmallDisk),
    /// A filesystem for its data whose power can fail.
    PoweredDisk(PoweredDisk),
    /// A limit of memory.
    MemoryGroup(MemoryGroup),
}

impl Surroundings {
    /// A command that will run `program` there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        match self {
            Self::Shared => Command::new(program),
            Self::SmallDisk(disk) => disk.command(program),
            Self::PoweredDisk(disk) => disk.command(program),
            Self::MemoryGroup(memory) => memory.command(program),
        }
    }

    /// How this process reaches a directory of data there.
    pub(crate) fn seen(&self, data: PathBuf) -> PathBuf {
        if let Self::PoweredDisk(disk) = self { disk.seen() } else { data }
    }
}

impl Server {
    /// Like [`Server::start`], with the data on a filesystem of its own of so many megabytes. `None`, having said so,
    /// where this user cannot mount one.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_on_small_disk(
        program: Program,
        megabytes: u32,
        flags: &[&str],
    ) -> Result<Option<Self>, StartFailure> {
        let mut server = Self::alone(program, flags)?;
        let data = server.data();
        fs::create_dir(&data)?;
        let Some(disk) = SmallDisk::mount(&data, megabytes) else { return Ok(None) };
        server.surround(Surroundings::SmallDisk(disk));
        server.restart().await?;
        Ok(Some(server))
    }

    /// Like [`Server::start_on_small_disk`], with a power that can fail.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_on_powered_disk(program: Program, megabytes: u64) -> Result<Option<Self>, StartFailure> {
        let mut server = Self::alone(program, &[])?;
        if !server.give_powered_disk(megabytes)? {
            return Ok(None);
        }
        server.restart().await?;
        Ok(Some(server))
    }

    /// A filesystem of its own for the data of a server that was never started, whose power can fail. Whether there is
    /// one: this user may not be allowed to mount it, which is then said.
    pub(crate) fn give_powered_disk(&mut self, megabytes: u64) -> io::Result<bool> {
        let data = self.data();
        fs::create_dir(&data)?;
        let Some(disk) = PoweredDisk::mount(&data, megabytes) else { return Ok(false) };
        self.surround(Surroundings::PoweredDisk(disk));
        Ok(true)
    }

    /// Like [`Server::start`], within a limit of memory.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_within(memory: MemoryGroup, program: Program, flags: &[&str]) -> Result<Self, StartFailure> {
        let mut server = Self::alone(program, flags)?;
        server.surround(Surroundings::MemoryGroup(memory));
        server.restart().await?;
        Ok(server)
    }
}
