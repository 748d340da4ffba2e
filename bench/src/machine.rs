//! The machine under the numbers: without it a result means nothing to someone else.
//!
//! Invariant: a data directory that does not reach a disk is refused. A log that is synced into memory
//! makes every system look alike.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::statistics::percentile;

/// Filesystems whose fdatasync does not wait for a disk, or waits for layers that no server has.
const REFUSED: [&str; 4] = ["tmpfs", "ramfs", "overlay", "aufs"];
/// Enough for a p99 with some values behind it.
const SYNCS: usize = 500;
/// About what one small write adds to a log.
const SYNC_BYTES: usize = 320;

#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) filesystem: String,
    pub(crate) fdatasync_p50_us: f64,
    pub(crate) fdatasync_p99_us: f64,
}

/// Looks at the machine and measures the disk under `directory`.
pub(crate) fn inspect(directory: &Path) -> Result<Machine> {
    let filesystem = filesystem(&fs::read_to_string("/proc/self/mountinfo")?, &directory.canonicalize()?)?;
    if REFUSED.contains(&filesystem.as_str()) {
        let path = directory.display();
        return Err(format!("{path} is on {filesystem}: choose a directory on a disk with --directory").into());
    }
    let mut syncs = measure_syncs(&directory.join("fdatasync"))?;
    syncs.sort_by(f64::total_cmp);
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        processor: field(&fs::read_to_string("/proc/cpuinfo")?, "model name").unwrap_or_else(|| "unknown".to_owned()),
        memory_mib: kib(&fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or(0) / 1024,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        filesystem,
        fdatasync_p50_us: percentile(&syncs, 0.50) * 1e6,
        fdatasync_p99_us: percentile(&syncs, 0.99) * 1e6,
    })
}

/// The filesystem type of the mount that holds `path`.
fn filesystem(mountinfo: &str, path: &Path) -> Result<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        Some((Path::new(mount.split(' ').nth(4)?), source.split(' ').next()?))
    });
    let deepest =
        mounts.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.components().count());
    deepest.map(|(_, kind)| kind.to_owned()).ok_or_else(|| format!("no mount holds {}", path.display()).into())
}

/// Seconds per append and fdatasync.
fn measure_syncs(path: &Path) -> Result<Vec<f64>> {
    let mut file = File::create(path)?;
    let mut seconds = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[7; SYNC_BYTES])?;
        file.sync_data()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    fs::remove_file(path)?;
    Ok(seconds)
}

/// The value of `name : value` as /proc writes it.
pub(crate) fn field(text: &str, name: &str) -> Option<String> {
    let of_line = |line: &str| {
        line.split_once(':').filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    text.lines().find_map(of_line)
}

/// A field in kB.
pub(crate) fn kib(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n30 22 0:25 / /dev/shm rw - tmpfs tmpfs rw\n";
        assert_eq!(filesystem(mounts, Path::new("/dev/shm/data")).unwrap(), "tmpfs");
        assert_eq!(filesystem(mounts, Path::new("/var/data")).unwrap(), "ext4");
    }

    #[test]
    fn fields_of_proc() {
        assert_eq!(kib("Name:\tetcd\nVmRSS:\t   2048 kB\n", "VmRSS"), Some(2048));
        assert_eq!(kib("VmRSS:\t x kB\n", "VmRSS"), None);
    }
}
