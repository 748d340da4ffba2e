//! Ports for servers that are killed and have to find their port free again.
//!
//! What the operating system offers for port 0 is what it gives to the next outgoing connection of any process, too. So
//! these are from below that range, and each is this process's own by a lock on a file.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;
use rustix::fs::FlockOperation;

/// Above what services use by habit, below what Linux and macOS give to outgoing connections.
const PORTS: Range<u16> = 10_000..32_000;

/// The locks of the ports that were given away, held until this process ends.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, and that no other process of the suites is given.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    let directory = std::env::temp_dir().join(format!("metastore-ports-{}", rustix::process::getuid().as_raw()));
    std::fs::create_dir_all(&directory)?;
    // Processes that start together look at different places.
    let first = std::process::id().wrapping_mul(101);
    for _ in PORTS {
        let offset =
            first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into()) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset).map_err(io::Error::other)?;
        let lock = File::create(directory.join(port.to_string()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let is_ours = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_ours && TcpListener::bind(address).is_ok() {
            TAKEN.lock().push(lock);
            return Ok(address);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}
