//! Where log lines go and how they look: etcd's JSON lines, or text for people.
//!
//! ```text
//! {"level":"info","ts":"2026-11-23T05:47:38.372062Z","caller":"src/serve.rs:63","msg":"…","key":"value"}
//! 2026-11-23T05:47:38.372062Z  info  src/serve.rs:63  …  {"key":"value"}
//! ```
//!
//! Invariant: one event is one line, written to every output in one call each.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::log_line::LogLine;
use crate::system_reason;

/// Where log lines go and how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The least important level to log, in etcd's words.
    pub level: String,
    /// JSON instead of text.
    pub json: bool,
    /// `stderr`, `stdout` or files.
    pub outputs: Vec<String>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// A file that cannot be written.
    #[error("log file {path} cannot be written ({reason}): choose another with --log-outputs")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The process has a log already.
    #[error("the log is already set up: {0}")]
    Twice(#[from] TryInitError),
}

/// Crates whose debug lines are of use to an operator; others speak from info on.
const OWN_TARGETS: [&str; 4] = ["metastore", "gateway", "storenode", "internal_proto"];

/// Sets the log up for the whole process.
///
/// # Errors
/// When a file cannot be written, or the process has a log already.
pub fn init(config: &Config) -> Result<(), LoggingError> {
    let level = level(&config.level);
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO));
    let targets = OWN_TARGETS.iter().fold(targets, |targets, target| targets.with_target(*target, level));
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(LogLine { json: config.json })
        .with_writer(Outputs::open(&config.outputs)?);
    tracing_subscriber::registry().with(targets).with(lines).try_init()?;
    Ok(())
}

/// etcd's panic and fatal are errors here.
fn level(word: &str) -> LevelFilter {
    match word {
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    }
}

/// All outputs; each line goes to every one.
#[derive(Clone)]
struct Outputs(Arc<[Output]>);

enum Output {
    Stderr,
    Stdout,
    File(File),
}

impl Outputs {
    fn open(names: &[String]) -> Result<Self, LoggingError> {
        let outputs: Result<Vec<_>, _> = names.iter().map(|name| Output::open(name)).collect();
        Ok(Self(outputs?.into()))
    }
}

impl Output {
    fn open(name: &str) -> Result<Self, LoggingError> {
        match name {
            "stdout" => Ok(Self::Stdout),
            // A service manager reads stderr into its journal.
            "stderr" | "default" | "systemd/journal" => Ok(Self::Stderr),
            path => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Self::File)
                .map_err(|error| LoggingError::File { path: path.to_owned(), reason: system_reason(&error) }),
        }
    }

    fn write_line(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().write_all(line),
            Self::Stdout => io::stdout().write_all(line),
            // Appending writes of one call do not mix with those of other threads.
            Self::File(file) => (&mut &*file).write_all(line),
        }
    }
}

impl<'a> MakeWriter<'a> for Outputs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Outputs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for output in &*self.0 {
            output.write_line(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
