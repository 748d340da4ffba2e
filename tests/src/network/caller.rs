//! Which process has made a connection: the kernel knows, whatever is spoken on it.
//!
//! ```text
//!  address of the caller ─/proc/net/tcp─► socket ─/proc/*/fd─► process ─environ─► NETWORK_PLACE=1
//! ```

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpStream;

use super::PLACE;

/// The place of the process at the other end; `None` for one without, or if it has gone.
pub(super) fn place(stream: &TcpStream) -> Option<usize> {
    let (caller, own) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    let socket = socket(&fs::read_to_string("/proc/net/tcp").ok()?, caller, own)?;
    let holder = format!("socket:[{socket}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let process = processes.map(|entry| entry.path()).find(|process| holds(process, &holder))?;
    told(&fs::read(process.join("environ")).ok()?)
}

/// The number of the socket with these two ends.
fn socket(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<String> {
    let (local, remote) = (written(local)?, written(remote)?);
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let found = *fields.get(1)? == local && *fields.get(2)? == remote;
        found.then(|| fields.get(9).map(|&number| number.to_owned()))?
    })
}

/// As the table has it: the address in the machine's byte order, the port as a number.
fn written(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()))
}

/// Processes of other users do not show, and have no place.
fn holds(process: &Path, holder: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == holder))
}

fn told(environment: &[u8]) -> Option<usize> {
    let variables = environment.split(|byte| *byte == 0).filter_map(|variable| str::from_utf8(variable).ok());
    let value = |variable: &str| variable.strip_prefix(PLACE)?.strip_prefix('=')?.parse().ok();
    variables.filter_map(value).next()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000 20 4 30 10 -1
";

    #[cfg(target_endian = "little")]
    #[test]
    fn a_socket_is_found_by_its_two_ends() {
        let ends = |local: &str, remote: &str| socket(TABLE, local.parse().unwrap(), remote.parse().unwrap());
        assert_eq!(ends("127.0.0.1:8080", "127.0.0.1:22").as_deref(), Some("4242"));
        assert_eq!(ends("127.0.0.1:8081", "127.0.0.1:22"), None);
    }

    #[test]
    fn a_process_is_told_its_place_by_a_variable() {
        assert_eq!(told(b"PATH=/bin\0NETWORK_PLACE=2\0HOME=/\0"), Some(2));
        assert_eq!(told(b"PATH=/bin\0"), None);
    }
}
