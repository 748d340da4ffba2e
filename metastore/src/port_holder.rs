//! Who listens on a port: the kernel's table of sockets, joined with every process's open files.
//!
//! ```text
//! /proc/net/tcp   local port, state, inode  ─┐
//! /proc/PID/fd/N  -> socket:[inode]         ─┴► PID ─► /proc/PID/comm
//! ```
//!
//! Other users' processes hide their open files; then the holder stays unknown.

use std::fmt;
use std::fs;

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} ({})", self.pid, self.program)
    }
}

/// The process that listens on a port, when it can be seen.
pub(crate) fn find(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default()).concat();
    let inodes = tables.lines().filter_map(|line| listening_inode(line, port));
    let inodes: Vec<_> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|&pid| holds(pid, &inodes)).map(|pid| Holder { pid, program: program(pid) })
}

/// The program's name of a process.
pub(crate) fn program(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

/// The inode of a line of the table, when it is a socket listening on this port.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut columns = line.split_whitespace();
    let local = columns.nth(1)?;
    let state = columns.nth(1)?;
    let (_, local_port) = local.rsplit_once(':')?;
    let matches = state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port);
    matches.then(|| columns.nth(5)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_table() {
        let listening = "  0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 31337 1";
        assert_eq!(listening_inode(listening, 2379), Some("31337"));
        assert_eq!(listening_inode(listening, 2380), None);
        let connected = listening.replace(" 0A ", " 01 ");
        assert_eq!(listening_inode(&connected, 2379), None);
        assert_eq!(listening_inode("  sl  local_address rem_address   st", 2379), None);
    }
}
