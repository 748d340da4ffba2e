//! A server process: etcd or the product, which take the same flags.
//!
//! ```text
//!  start ──► ready (answers /health) ──► kill │ pause, resume │ terminate ──► restart (same flags, same data)
//! ```
//!
//! Invariants: a process never outlives its [`Server`]; waiting is for a condition, with a deadline; a test that fails
//! shows how the logs of its servers end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binary::Program;
use crate::http;
use crate::ports::free_port;
use crate::surroundings::Surroundings;

/// A start takes milliseconds; this long only on an overloaded machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What a log tells is written by another thread.
const SAYS_WITHIN: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(10);
/// A chosen port may be taken by someone else before the process binds it.
const START_ATTEMPTS: usize = 3;
/// How much of the log a failure shows.
const LOG_TAIL: usize = 4_000;

/// Why a server does not run.
#[derive(Debug)]
pub struct StartFailure(pub String);

impl From<io::Error> for StartFailure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A running, or killed and restartable, server with a data directory of its own.
pub struct Server {
    program: Program,
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    directory: TempDir,
    client: SocketAddr,
    surroundings: Surroundings,
    child: Option<Child>,
}

impl Server {
    /// Starts `program` with a new data directory on free ports and waits until it serves.
    ///
    /// # Errors
    /// When it ends or does not serve in time; with the tail of its log.
    pub async fn start(program: Program, flags: &[&str]) -> Result<Self, StartFailure> {
        let mut last = StartFailure(String::new());
        for _ in 0..START_ATTEMPTS {
            let mut server = Self::alone(program, flags)?;
            match server.restart().await {
                Ok(()) => return Ok(server),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// The only member of its cluster, which was never started.
    pub(crate) fn alone(program: Program, flags: &[&str]) -> io::Result<Self> {
        let peer = free_port()?;
        Self::prepare(program, "one", peer, &format!("one=http://{peer}"), flags)
    }

    /// A member that was never started: named `name`, for its peers at `peer`.
    pub(crate) fn prepare(
        program: Program,
        name: &str,
        peer: SocketAddr,
        initial_cluster: &str,
        flags: &[&str],
    ) -> io::Result<Self> {
        let directory = TempDir::with_prefix(program.name())?;
        let client = free_port()?;
        let data = directory.path().join("data");
        let mut arguments = vec![
            format!("--name={name}"),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls=http://{client}"),
            format!("--advertise-client-urls=http://{client}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
            format!("--initial-cluster={initial_cluster}"),
        ];
        arguments.extend(program.flags().iter().chain(flags).map(|&flag| flag.to_owned()));
        Ok(Self::new(program, arguments, directory, client))
    }

    /// A program that was never started, of all these arguments; healthy when `probed` says so. `--data-dir` is added
    /// where it holds data.
    pub(crate) fn assemble(program: Program, probed: SocketAddr, mut arguments: Vec<String>) -> io::Result<Self> {
        let directory = TempDir::with_prefix(program.name())?;
        if program.keeps_data() {
            arguments.push(format!("--data-dir={}", directory.path().join("data").display()));
        }
        Ok(Self::new(program, arguments, directory, probed))
    }

    fn new(program: Program, arguments: Vec<String>, directory: TempDir, client: SocketAddr) -> Self {
        let (environment, surroundings) = (Vec::new(), Surroundings::Shared);
        Self { program, arguments, environment, directory, client, surroundings, child: None }
    }

    /// Where it runs from the next start on.
    pub(crate) fn surround(&mut self, surroundings: Surroundings) {
        self.surroundings = surroundings;
    }

    /// A server of the same flags that was never started, with a directory and a client port of its own.
    pub(crate) fn twin(&self) -> io::Result<Self> {
        let (directory, client) = (TempDir::with_prefix(self.program.name())?, free_port()?);
        let mut twin = Self::new(self.program, self.arguments.clone(), directory, client);
        twin.environment.clone_from(&self.environment);
        // Of a flag that is given twice, the last counts.
        let data = format!("--data-dir={}", twin.data().display());
        let [listen, advertise] = ["listen", "advertise"].map(|what| format!("--{what}-client-urls=http://{client}"));
        twin.add_flags(&[data.as_str(), listen.as_str(), advertise.as_str()]);
        Ok(twin)
    }

    /// A variable of the environment for the next start.
    pub fn set_variable(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Another program of the same kind from the next start on, without its data.
    ///
    /// # Errors
    /// When the data cannot be removed.
    pub fn replace(&mut self, program: Program, flags: &[&str]) -> io::Result<()> {
        let old = self.program.flags();
        self.arguments.retain(|argument| !old.contains(&argument.as_str()));
        self.program = program;
        self.add_flags(program.flags());
        self.add_flags(flags);
        fs::remove_dir_all(self.data())
    }

    /// Flags for the next start.
    pub(crate) fn add_flags(&mut self, flags: &[&str]) {
        self.arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
    }

    /// Starts the process again with the same flags and data, and waits until it serves.
    ///
    /// # Errors
    /// When it ends or does not serve in time; with the tail of its log.
    pub async fn restart(&mut self) -> Result<(), StartFailure> {
        self.spawn()?;
        self.ready().await
    }

    /// Waits until the process, which was started, serves.
    ///
    /// # Errors
    /// When it ends or does not serve in time; with the tail of its log.
    pub(crate) async fn ready(&mut self) -> Result<(), StartFailure> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.exited() {
                return Err(self.failure(&format!("ended with {status}")));
            }
            if http::get(self.client, "/health").await.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        Err(self.failure("did not serve in time"))
    }

    /// Starts the process without waiting for anything.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn spawn(&mut self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.surroundings.command(&self.program.path());
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.child = Some(child);
        Ok(())
    }

    pub(crate) fn failure(&self, what: &str) -> StartFailure {
        StartFailure(format!("{} {what}; its log ends:\n{}", self.program.name(), self.log_tail()))
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that has already ended cannot be killed, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for the graceful end.
    ///
    /// # Errors
    /// When it does not end in time; it is then killed.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus, StartFailure> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.exited() {
                self.child = None;
                return Ok(status);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let failure = self.failure("did not end in time after SIGTERM");
        self.kill();
        Err(failure)
    }

    /// SIGSTOP: the process stands still, its sockets stay open. Returns when every thread does: the kernel stops them
    /// one by one.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let deadline = Instant::now() + READY_WITHIN;
        while !self.stands_still() && Instant::now() < deadline {
            std::thread::sleep(POLL_EVERY);
        }
    }

    fn stands_still(&self) -> bool {
        let Some(pid) = self.pid() else { return true };
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses and may hold anything.
            stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('T'))
        })
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself; whoever cares asks `exited`.
            let _ = kill_process(pid, signal);
        }
    }

    /// The status with which the process ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Whether there is a process; it may have ended by itself.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.child.is_some()
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.as_ref()?.id()).ok()?)
    }

    /// Resident memory in bytes, from `/proc`.
    ///
    /// # Errors
    /// When the process does not run or `/proc` cannot be read.
    pub fn resident(&self) -> io::Result<u64> {
        let pid = self.child.as_ref().ok_or(io::ErrorKind::NotFound)?.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or(io::ErrorKind::InvalidData)?;
        let kilobytes = line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
        Ok(kilobytes.ok_or(io::ErrorKind::InvalidData)? * 1024)
    }

    /// Which program it is.
    #[must_use]
    pub const fn program(&self) -> Program {
        self.program
    }

    /// The client port's address.
    #[must_use]
    pub const fn client(&self) -> SocketAddr {
        self.client
    }

    /// Where it runs.
    #[must_use]
    pub const fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The data directory, as this process sees it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.surroundings.seen(self.directory.path().join("data"))
    }

    /// A place for files of the test that vanish with the server.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the process has written to standard output and error so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of [`Server::log`].
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        log.char_indices().nth_back(LOG_TAIL).map_or(&*log, |(at, _)| &log[at..]).to_owned()
    }

    /// Waits until the log contains `text`: it is written a moment after what it tells of.
    ///
    /// # Errors
    /// When it does not in time; it ends with the log.
    pub async fn says(&self, text: &str) -> Result<(), StartFailure> {
        let deadline = Instant::now() + SAYS_WITHIN;
        while !self.log().contains(text) {
            if Instant::now() > deadline {
                return Err(self.failure(&format!("does not say {text:?}")));
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} at {}; its log ends:\n{}", self.program.name(), self.client, self.log_tail());
        }
        self.kill();
    }
}
