//! Gathers settings from all sources, the strongest last.
//!
//! ```text
//! command line > environment > --config file > default
//! --config-file (etcd's): that file > default; all else is ignored with one warning
//! ```

use std::collections::BTreeMap;

use crate::environment::{self, EnvironmentError};
use crate::files::{self, File, FileError, Format};
use crate::flags::{self, FlagError};
use crate::options::{self, Section};
use crate::role::Role;
use crate::settings::{Origin, Settings};

/// Why a source cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The command line.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A file that cannot be opened.
    #[error("open {path}: {reason}")]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A file's contents.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What is wrong in it.
        error: FileError,
    },
    /// Two files that exclude each other.
    #[error("--config and --config-file exclude each other: give this project's file or etcd's, not both")]
    TwoFiles,
}

impl Settings {
    /// Gathers all sources of one program. `read` opens a file by its path.
    ///
    /// # Errors
    /// The first thing in any source that is wrong. Words and refused options are not looked at:
    /// see [`Settings::check`].
    pub fn gather(
        role: Role,
        arguments: &[String],
        variables: &BTreeMap<String, String>,
        read: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, SourceError> {
        let flags = flags::parse(role, arguments)?;
        let mut from_flags = Self::new(role);
        for flag in flags {
            from_flags.put(flag.name, flag.value, Origin::CommandLine(flag.typed));
        }
        if from_flags.boolean("help") || from_flags.boolean("version") {
            return Ok(from_flags);
        }
        let environment = environment::parse(role, variables)?;
        let mut from_environment = Self::new(role);
        for found in environment.values {
            from_environment.put(found.name, found.value, Origin::Environment(found.variable));
        }
        let file_name = |option| from_flags.lookup(option).or_else(|| from_environment.lookup(option));
        let etcd_file = file_name("config-file").filter(|path| !path.is_empty()).map(str::to_owned);
        let own_file = file_name("config").filter(|path| !path.is_empty()).map(str::to_owned);
        let mut settings = Self::new(role);
        match (etcd_file, own_file) {
            (Some(_), Some(_)) => return Err(SourceError::TwoFiles),
            (Some(path), None) => {
                settings.put_file(&path, load(role, Format::Etcd, &path, read)?);
                settings.keep_program_options(&path, from_flags, from_environment);
                return Ok(settings);
            }
            (None, Some(path)) => settings.put_file(&path, load(role, Format::Product, &path, read)?),
            (None, None) => {}
        }
        for variable in environment.unknown {
            settings.warnings.push(format!("unrecognized environment variable {variable}"));
        }
        for variable in environment.others {
            settings.warnings.push(format!("environment variable {variable} is for another program and is ignored"));
        }
        settings.shadow(from_environment);
        settings.shadow(from_flags);
        Ok(settings)
    }

    fn put_file(&mut self, path: &str, file: File) {
        for found in file.values {
            self.put(found.name, found.value, Origin::File(path.to_owned(), found.line));
        }
        for (key, line) in file.unknown {
            self.warnings.push(format!("{path}:{line}: unknown key {key:?} is ignored"));
        }
    }

    fn shadow(&mut self, stronger: Self) {
        for (name, setting) in stronger.set {
            let weaker = self.set.insert(name, setting).map(|weaker| weaker.origin);
            if let Some(Origin::Environment(variable)) = weaker {
                self.warnings.push(format!("environment variable {variable} is shadowed by --{name}"));
            }
        }
    }

    /// With etcd's file, only what is no setting still counts.
    fn keep_program_options(&mut self, path: &str, flags: Self, environment: Self) {
        let mut ignored = Vec::new();
        for (name, setting) in environment.set.into_iter().chain(flags.set) {
            if options::named(name).section == Section::Program {
                self.set.insert(name, setting);
            } else {
                ignored.push(setting.origin.to_string());
            }
        }
        if !ignored.is_empty() {
            let ignored = ignored.join(", ");
            self.warnings.push(format!("{path} is in use, so flags and environment variables are ignored: {ignored}"));
        }
    }
}

fn load(
    role: Role,
    format: Format,
    path: &str,
    read: impl Fn(&str) -> std::io::Result<String>,
) -> Result<File, SourceError> {
    let text = read(path)
        .map_err(|error| SourceError::Open { path: path.to_owned(), reason: crate::system_reason(&error) })?;
    files::parse(role, format, &text).map_err(|error| SourceError::File { path: path.to_owned(), error })
}
