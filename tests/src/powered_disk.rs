//! A real filesystem whose power fails: what was not synced is gone, as after the plug was pulled.
//!
//! ```text
//!  image ─► loop device ─► ext4, mounted in a namespace of its own ─► servers whose data is there
//!  lose power   the filesystem stops between two writes to its device; no file can be read or written any more
//!  restore      mounted again: the journal is replayed, and what had not reached the device was never written
//! ```
//!
//! Invariant: the mount ends with its [`PoweredDisk`], and all processes that hold it must end before.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::ioctl::{self, Setter, opcode};

use crate::requirement;

/// EXT4_IOC_SHUTDOWN of Linux, which filesystem tests use for the same.
const SHUTDOWN: ioctl::Opcode = opcode::read::<u32>(b'X', 125);
/// Its argument: not even the journal is written any more (EXT4_GOING_FLAGS_NOLOGFLUSH).
const NOTHING_IS_WRITTEN: u32 = 2;

/// A mounted filesystem that no other process sees.
pub struct PoweredDisk {
    /// What keeps the namespace alive.
    keeper: Child,
    /// Where it is mounted, as those see it who live in the namespace.
    mounted: PathBuf,
    image: PathBuf,
}

impl PoweredDisk {
    /// Mounts a new filesystem of `megabytes` on an existing directory; its image is made beside it. `None`, having
    /// said so, where the system does not let this user.
    pub fn mount(on: &Path, megabytes: u64) -> Option<Self> {
        for program in ["unshare", "nsenter", "mkfs.ext4"] {
            requirement::system_program(program)?;
        }
        match Self::try_mount(on, megabytes) {
            Ok(disk) => Some(disk),
            Err(error) => {
                requirement::missing(&format!("no image can be mounted here ({error})"), "root, and loop devices");
                None
            }
        }
    }

    fn try_mount(on: &Path, megabytes: u64) -> io::Result<Self> {
        let image = on.with_extension("image");
        File::create(&image)?.set_len(megabytes << 20)?;
        let mut keeper = Command::new("unshare")
            .args(["--mount", "sh", "-c", "mkfs.ext4 -q \"$0\" && echo made && exec sleep infinity"])
            .arg(&image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = keeper.stdout.take().map(|stdout| BufReader::new(stdout).lines().next());
        let disk = Self { keeper, mounted: on.to_owned(), image };
        match said.flatten().transpose()? {
            Some(line) if line == "made" => disk.run("mount", &["-o", "loop"], &[&disk.image, on]).map(|()| disk),
            _ => Err(io::Error::other("unshare or mkfs.ext4 refused")),
        }
    }

    /// A command that will run `program` where the filesystem is.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args([&format!("--target={}", self.keeper.id()), "--mount"]).arg(program);
        command
    }

    /// From here on nothing reaches the device, nor is anything read.
    ///
    /// # Errors
    /// When the filesystem does not know how.
    #[allow(unsafe_code)]
    pub fn lose_power(&self) -> io::Result<()> {
        let root = File::open(self.seen())?;
        // SAFETY: the kernel reads one u32 through the pointer, which `Setter` owns until the call returns, and touches
        // no memory of this process besides (ext4_ioctl_shutdown in Linux' fs/ext4/ioctl.c).
        unsafe { ioctl::ioctl(root.as_fd(), Setter::<SHUTDOWN, u32>::new(NOTHING_IS_WRITTEN)) }?;
        Ok(())
    }

    /// The power is back. Nobody may hold a file there.
    ///
    /// # Errors
    /// When somebody does, or the filesystem is damaged.
    pub fn restore(&self) -> io::Result<()> {
        self.run("umount", &[], &[&self.mounted])?;
        self.run("mount", &["-o", "loop"], &[&self.image, &self.mounted])
    }

    /// The filesystem's root, as this process sees it.
    #[must_use]
    pub fn seen(&self) -> PathBuf {
        let inside = self.mounted.strip_prefix("/").unwrap_or(&self.mounted);
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(inside)
    }

    fn run(&self, program: &str, options: &[&str], paths: &[&Path]) -> io::Result<()> {
        let output = self.command(Path::new(program)).args(options).args(paths).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))))
    }
}

impl Drop for PoweredDisk {
    fn drop(&mut self) {
        // A keeper that has already ended cannot be killed, which is as good.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
