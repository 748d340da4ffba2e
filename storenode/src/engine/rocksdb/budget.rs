//! How much memory the engine may take: one sum for cached blocks, indexes, filters and what is not yet flushed.
//!
//! ```text
//!  total ──┬── blocks of data, indexes, filters     whatever the buffers leave
//!          └── buffers of unflushed writes          up to a half
//! ```

use std::fs;
use std::path::Path;

/// The part of the machine's or the cgroup's memory that an engine takes when nobody says how much.
const DEFAULT_SHARE: u64 = 8;
/// Below this the cache holds too few blocks even for indexes.
const LEAST: u64 = 32 << 20;
/// A buffer beyond this makes flushes rarer than the log's trimming wants.
const LARGEST_BUFFER: u64 = 64 << 20;
/// What a machine is taken to have that does not tell.
const UNKNOWN_MACHINE: u64 = 1 << 30;

/// The engine's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    total: u64,
}

impl Budget {
    /// So many bytes, but no fewer than work.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self { total: total.max(LEAST) }
    }

    /// A share of what the process may use.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::new(available() / DEFAULT_SHARE)
    }

    /// All of it.
    pub(super) fn total(self) -> usize {
        usize::try_from(self.total).unwrap_or(usize::MAX)
    }

    /// All buffers of unflushed writes.
    pub(super) fn buffers(self) -> usize {
        self.total() / 2
    }

    /// One such buffer: its content becomes one file.
    pub(super) fn buffer(self) -> usize {
        (self.buffers() / 2).min(LARGEST_BUFFER as usize)
    }
}

/// The memory of the machine, or of the cgroup if that is less.
fn available() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| memory_total(&text)).unwrap_or(UNKNOWN_MACHINE);
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|path| read(Path::new(&path))?.trim().parse().ok());
    limits.fold(machine, u64::min)
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// Where the limits of the process's cgroup and of those around it stand, for both versions of cgroups.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A container sees its own group as the root, whatever the path says.
        let ancestors = Path::new(path).ancestors().filter_map(Path::to_str);
        files.extend(ancestors.map(|path| format!("{root}{}/{file}", path.trim_end_matches('/'))));
    }
    files
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_both_versions_are_looked_up_to_the_root() {
        assert_eq!(
            limit_files("0::/a/b\n"),
            ["/sys/fs/cgroup/a/b/memory.max", "/sys/fs/cgroup/a/memory.max", "/sys/fs/cgroup/memory.max"]
        );
        assert_eq!(
            limit_files("5:cpu:/x\n4:hugetlb,memory:/x\n"),
            ["/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
    }

    #[test]
    fn the_machine_tells_its_memory() {
        assert_eq!(memory_total("MemTotal:       16 kB\nMemFree: 1 kB\n"), Some(16 << 10));
        assert!(available() > LEAST);
    }

    #[test]
    fn buffers_are_a_part_of_the_whole() {
        let small = Budget::new(64 << 20);
        assert_eq!((small.total(), small.buffers(), small.buffer()), (64 << 20, 32 << 20, 16 << 20));
        assert_eq!(Budget::new(1).total(), 32 << 20);
        assert_eq!(Budget::new(8 << 30).buffer(), 64 << 20);
    }
}
