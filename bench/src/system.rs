//! One of the two systems: started fresh with etcd's flags, watched through /proc, stopped.
//!
//! Invariant: both are started by the same code, so neither gets a flag that the other does not.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::machine::kib;

/// Longer than any start of an empty member.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at a server that starts.
const POLL: Duration = Duration::from_millis(20);
/// What Linux counts process times in, on every architecture both systems run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A program and what it calls itself.
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    program: PathBuf,
}

impl System {
    /// Asks the program for its version. metastore also says which etcd's behaviour it has; its own line counts.
    pub(crate) fn new(name: &'static str, program: &Path) -> Result<System> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let own_line = text.lines().find(|line| line.starts_with("MetaStore Version"));
        let version = own_line.or(text.lines().next()).unwrap_or("unknown version").trim().to_owned();
        Ok(System { name, version, program: program.to_owned() })
    }

    /// Starts a member of one with an empty data directory below `directory`, and waits until it serves.
    pub(crate) fn start(&self, directory: &Path) -> Result<Server> {
        let data = directory.join(format!("{}.data", self.name));
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let log = directory.join(format!("{}.log", self.name));
        let (client, peer) = (free_port()?, free_port()?);
        let client_url = format!("http://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let process = Command::new(&self.program)
            .arg("--name=compare")
            .arg(format!("--data-dir={}", data.display()))
            .arg(format!("--listen-client-urls={client_url}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=compare={peer_url}"))
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        let mut server = Server { process, data, endpoint: format!("127.0.0.1:{client}") };
        server.wait_until_healthy(&log)?;
        Ok(server)
    }
}

/// A running member. Dropped: killed, its data deleted.
pub(crate) struct Server {
    process: Child,
    data: PathBuf,
    /// Host and port of the client listener.
    pub(crate) endpoint: String,
}

/// What /proc says of a server's memory, in MiB.
pub(crate) struct Memory {
    pub(crate) resident: f64,
    /// Less the pages of files, which the kernel may take back.
    pub(crate) anonymous: f64,
}

impl Server {
    fn wait_until_healthy(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the server stopped with {status}: see {}", log.display()).into());
            }
            if is_healthy(&self.endpoint) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(format!("not healthy after {START_DEADLINE:?}: see {}", log.display()).into())
    }

    /// CPU time of all its threads since it started, in seconds, in steps of 10 ms.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(&fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        #[expect(clippy::cast_precision_loss)]
        let mib = |name| kib(&status, name).map(|kib| kib as f64 / 1024.0).ok_or(format!("no {name} in /proc"));
        Ok(Memory { resident: mib("VmRSS")?, anonymous: mib("RssAnon")? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data is deleted next, so there is nothing to shut down gracefully for; nor is there
        // anyone to tell if the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// User and system time of a /proc/PID/stat line, whose second field may contain anything in parentheses.
fn cpu_seconds(stat: &str) -> Result<f64> {
    let times = stat.rsplit_once(')').and_then(|(_, rest)| {
        let fields = rest.split_whitespace().collect::<Vec<_>>();
        let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(f64::from(ticks(11)?) + f64::from(ticks(12)?))
    });
    times.map(|ticks| ticks / TICKS_PER_SECOND).ok_or_else(|| format!("cannot read the times of {stat}").into())
}

/// Free at this moment. Both systems need their ports as flags, before they listen.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn is_healthy(endpoint: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(endpoint)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /health HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_any_name() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 8 0 100 1000 10";
        assert!((cpu_seconds(stat).unwrap() - 2.0).abs() < 1e-9);
        assert!(cpu_seconds("42 (a) S 1").is_err());
    }
}
