//! The three programs: `metastore`, one process holding a gateway and a storage node, a drop-in for the `etcd` binary;
//! and the two apart, `gateway` and `storenode`.
//!
//! ```text
//! arguments, environment ─► settings ─► config ─► start ─┬► ports      free?
//!                              ▲                         ├► data_dir   ours? locked?        (with a storage node)
//!                        options (the table,             └► serve ─┬─► storage    the node and its members
//!                        by role)                                  └─► front      the gateway and its clients
//! ```
//!
//! Exit codes: 0 after `--help`, `--version` or an orderly end; 2 for a command line that cannot be
//! read, as etcd does; 1 for everything else, with one sentence on stderr.

pub mod bootstrap;
mod commands;
pub mod config;
pub mod data_dir;
pub mod duration;
pub mod environment;
pub mod files;
pub mod flags;
mod front;
mod greeting;
pub mod help;
pub mod identity;
pub mod listeners;
mod log_line;
pub mod logging;
mod lost_disk;
mod nearest;
pub mod options;
mod port_holder;
pub mod ports;
pub mod record;
pub mod role;
mod serve;
mod server;
pub mod settings;
mod shutdown;
pub mod sources;
mod start;
mod storage;
pub mod urls;
pub mod value;
mod yaml;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, UdpSocket};
use std::process::ExitCode;

pub use start::{Running, StartError, start};

use crate::commands::{Command, CommandError};
use crate::config::{Config, ConfigError};
use crate::role::Role;
use crate::settings::{OptionError, Settings};
use crate::shutdown::{End, Signals};
use crate::sources::SourceError;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Logging(#[from] logging::LoggingError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the system gives no threads or signals: {0}")]
    System(#[from] std::io::Error),
    #[error("{0}")]
    Stopped(String),
}

/// Runs a program with the process's own arguments and environment.
#[must_use]
pub fn run(role: Role) -> ExitCode {
    let text = |word: std::ffi::OsString| word.to_string_lossy().into_owned();
    let arguments: Vec<_> = std::env::args_os().skip(1).map(text).collect();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    match try_run(role, &arguments, &variables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nowhere is left to complain when stderr is closed.
            let _ = writeln!(std::io::stderr(), "{failure}");
            match &failure {
                Failure::Source(SourceError::Flag(error)) => ExitCode::from(error.exit_code()),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn try_run(role: Role, arguments: &[String], variables: &BTreeMap<String, String>) -> Result<(), Failure> {
    let (command, arguments) = Command::take(role, arguments);
    let mut settings = Settings::gather(role, arguments, variables, |path| std::fs::read_to_string(path))?;
    let text = match () {
        () if settings.boolean("help") => Some(help::help(role)),
        () if settings.boolean("version") => Some(help::version()),
        () if settings.boolean("print-config") => Some(settings.print()),
        () => None,
    };
    if let Some(text) = text {
        return print(&text);
    }
    settings.check()?;
    if let Some(command) = command {
        let mut lines = String::new();
        let outcome = command.run(&settings, &mut |line| lines.extend([line, "\n"]));
        print(&lines)?;
        return Ok(outcome?);
    }
    let config = Config::from_settings(&settings, default_host())?;
    logging::init(&config.logging)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let deadline = config.shutdown_timeout;
    let result = runtime.block_on(serve_until_asked(config));
    match result {
        // The last connections still hold the store, which has to be closed before the process takes itself apart.
        Ok(()) => runtime.shutdown_timeout(deadline),
        // A forced end must not wait for what would not stop.
        Err(_) => runtime.shutdown_background(),
    }
    result
}

async fn serve_until_asked(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    let (deadline, role) = (config.shutdown_timeout, config.role);
    let greets = role.has_clients() && (config.welcome || std::io::stdout().is_terminal());
    let data = config.data_dir.display();
    let (place, afresh) = match role {
        Role::Gateway => (format!("Storage nodes: {}", config.storenodes.join(", ")), String::new()),
        Role::MetaStore | Role::StoreNode if config.welcome => {
            (format!("Data directory: {data}"), format!(" Start afresh with: make reset DATA={data}"))
        }
        Role::MetaStore | Role::StoreNode => {
            (format!("Data directory: {data}"), format!(" To start afresh, stop it and delete {data}."))
        }
    };
    let mut running = start(config).await?;
    match role {
        Role::MetaStore | Role::Gateway => tracing::info!("ready to serve client requests"),
        Role::StoreNode => tracing::info!("ready to serve gateways"),
    }
    if greets {
        print(&greeting::greeting(running.client_addresses(), &place, &afresh))?;
    }
    let asked = tokio::select! {
        name = signals.next() => Ok(name),
        reason = running.failed() => Err(reason),
    };
    match asked {
        Ok(signal) => tracing::info!(signal, "received signal; shutting down"),
        Err(reason) => return Err(Failure::Stopped(reason)),
    }
    match shutdown::finish(running.stop(), signals.next(), deadline).await {
        End::Orderly => Ok(()),
        End::Late => Err(Failure::Stopped(format!("the shutdown took longer than {deadline:?} and was forced"))),
        End::Forced => Err(Failure::Stopped("a second signal forced the end".to_owned())),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader like `head` that has seen enough is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The address this machine uses towards the world: the source the kernel would choose. Nothing is
/// sent: connecting a datagram socket only looks the route up.
fn default_host() -> Option<IpAddr> {
    const DOCUMENTATION_ADDRESS: (&str, u16) = ("198.51.100.1", 9);
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(DOCUMENTATION_ADDRESS).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

/// What the system says about a failure, without Rust's "(os error 2)".
fn system_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
