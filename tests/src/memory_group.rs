//! A group of processes with so much memory and no more: what they use beyond it is taken from the page cache, or they
//! are killed.
//!
//! Invariant: the group ends with its [`MemoryGroup`]; its processes have to be gone by then.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where both versions of cgroups have their memory controller, and their names for the limit.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

/// How many this process has made.
static GROUPS: AtomicU32 = AtomicU32::new(0);

/// A cgroup with a limit.
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// A new group of at most so many bytes. `None` where the system does not let this user.
    #[must_use]
    pub fn new(bytes: u64) -> Option<Self> {
        PLACES.iter().find_map(|(root, limit)| Self::under(Path::new(root), limit, bytes).ok())
    }

    fn under(root: &Path, limit: &str, bytes: u64) -> io::Result<Self> {
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let group = Self(root.join(format!("metastore-test-{}-{number}", std::process::id())));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(limit), bytes.to_string())?;
        Ok(group)
    }

    /// A command that will run `program` within the limit.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ >"$0" && exec "$@""#]).arg(self.0.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // One that stays is empty and does no harm.
        let _ = fs::remove_dir(&self.0);
    }
}
