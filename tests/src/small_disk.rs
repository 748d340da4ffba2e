//! A filesystem of a few hundred megabytes, for one test and as any user.
//!
//! ```text
//!  unshare (user and mount namespace) ─► mount tmpfs on a directory ─► stays, so that the filesystem does
//!  nsenter ─► a server whose data is there            the test itself reaches it through /proc/PID/root
//! ```
//!
//! Invariant: the filesystem ends with its [`SmallDisk`], and so do its files.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::requirement;

/// A mounted filesystem that no other process sees.
pub struct SmallDisk {
    /// What keeps the namespaces alive.
    keeper: Child,
    /// Where it is mounted, as those see it who live in the namespaces.
    mounted: PathBuf,
}

impl SmallDisk {
    /// Mounts a filesystem of `megabytes` on an existing directory. `None`, having said so, where the system does not
    /// let this user.
    pub fn mount(on: &Path, megabytes: u32) -> Option<Self> {
        requirement::system_program("unshare")?;
        requirement::system_program("nsenter")?;
        match Self::try_mount(on, megabytes) {
            Ok(disk) => Some(disk),
            Err(error) => {
                let reason = format!("no filesystem can be mounted here ({error})");
                requirement::missing(&reason, "root, or sysctl kernel.unprivileged_userns_clone=1");
                None
            }
        }
    }

    fn try_mount(on: &Path, megabytes: u32) -> io::Result<Self> {
        let script = format!("mount -t tmpfs -o size={megabytes}m none \"$0\" && echo mounted && exec sleep infinity");
        let mut keeper = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .arg(on)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = keeper.stdout.take().map(|stdout| BufReader::new(stdout).lines().next());
        let disk = Self { keeper, mounted: on.to_owned() };
        match said.flatten().transpose()? {
            Some(line) if line == "mounted" => Ok(disk),
            _ => Err(io::Error::other("unshare or mount refused")),
        }
    }

    /// A command that will run `program` where the filesystem is.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let target = format!("--target={}", self.keeper.id());
        command.args([&target, "--user", "--mount", "--preserve-credentials"]).arg(program);
        command
    }

    /// Leaves no space at all, by a file of its own.
    ///
    /// # Errors
    /// When the file cannot be made; a write that fails for lack of space is what is wanted.
    pub fn fill(&self) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut filler = File::create(self.filler())?;
        loop {
            match filler.write(&zeros) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the space back that [`SmallDisk::fill`] took.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        let inside = self.mounted.strip_prefix("/").unwrap_or(&self.mounted);
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(inside).join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A keeper that has already ended cannot be killed, which is as good.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
