//! Running processes of one system, watched through /proc, stopped.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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

/// A process to start.
pub(crate) struct Launch {
    /// What several processes are.
    pub(crate) kind: &'static str,
    /// Its number among them.
    pub(crate) index: usize,
    pub(crate) program: PathBuf,
    /// Less the data directory.
    pub(crate) arguments: Vec<String>,
    pub(crate) keeps_data: bool,
    /// Host and port where it says that it is healthy.
    pub(crate) probe: String,
}

/// All processes of one system.
pub(crate) struct Servers {
    processes: Vec<Server>,
    /// Host and port of every client listener, separated by commas.
    pub(crate) endpoints: String,
}

/// A running process. Dropped: killed, its data deleted.
struct Server {
    kind: &'static str,
    process: Child,
    data: PathBuf,
}

/// What /proc says of memory, in MiB.
pub(crate) struct Memory {
    pub(crate) resident: f64,
    /// Less the pages of files, which the kernel may take back.
    pub(crate) anonymous: f64,
}

impl Servers {
    /// Starts everything with empty data directories below `directory`, and waits until all are healthy.
    pub(crate) fn start(launches: &[Launch], endpoints: String, directory: &Path) -> Result<Self> {
        let start = |launch| Server::start(launch, directory);
        let mut processes = launches.iter().map(start).collect::<Result<Vec<_>>>()?;
        for (launch, server) in launches.iter().zip(&mut processes) {
            server.wait_until_healthy(&launch.probe, &log(launch, directory))?;
        }
        Ok(Self { processes, endpoints })
    }

    /// CPU time of each process since it started, in seconds, in steps of 10 ms.
    pub(crate) fn cpu_seconds(&self) -> Result<Vec<(&'static str, f64)>> {
        self.processes.iter().map(|server| Ok((server.kind, server.cpu_seconds()?))).collect()
    }

    /// Of all processes together.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut sum = Memory { resident: 0.0, anonymous: 0.0 };
        for server in &self.processes {
            let memory = server.memory()?;
            sum.resident += memory.resident;
            sum.anonymous += memory.anonymous;
        }
        Ok(sum)
    }
}

fn log(launch: &Launch, directory: &Path) -> PathBuf {
    directory.join(format!("{}-{}.log", launch.kind, launch.index))
}

impl Server {
    fn start(launch: &Launch, directory: &Path) -> Result<Self> {
        let data = directory.join(format!("{}-{}.data", launch.kind, launch.index));
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let log = log(launch, directory);
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments);
        if launch.keeps_data {
            command.arg(format!("--data-dir={}", data.display()));
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", launch.program.display()))?;
        Ok(Self { kind: launch.kind, process, data })
    }

    fn wait_until_healthy(&mut self, probe: &str, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the server stopped with {status}: see {}", log.display()).into());
            }
            if is_healthy(probe) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(format!("not healthy after {START_DEADLINE:?}: see {}", log.display()).into())
    }

    /// CPU time of all its threads since it started, in seconds, in steps of 10 ms.
    fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(&fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?)
    }

    fn memory(&self) -> Result<Memory> {
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
