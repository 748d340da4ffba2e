//! Every option's value and where it comes from.
//!
//! ```text
//! command line > environment > --config file > default
//! --config-file (etcd's): that file > default; all else is ignored with one warning
//! ```
//!
//! Invariant: every value in here passed its kind's checks, so the typed getters cannot fail.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::duration;
use crate::environment::{self, EnvironmentError};
use crate::files::{self, File, FileError, Format};
use crate::flags::{self, FlagError};
use crate::options::{self, Effect, OptionSpec, Section};
use crate::urls::{self, Url};
use crate::value::{self, Kind, ValueError};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing set it.
    Default,
    /// A file, at a line.
    File(String, u64),
    /// An environment variable.
    Environment(String),
    /// The command line, by this flag.
    CommandLine(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path, line) => write!(formatter, "{path}:{line}"),
            Self::Environment(variable) => write!(formatter, "environment {variable}"),
            Self::CommandLine(flag) => write!(formatter, "--{flag}"),
        }
    }
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
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
    /// A word its option does not know.
    #[error("unknown {name} {value:?} (set by {origin}): {reason}")]
    Choice {
        /// The option.
        name: &'static str,
        /// What it was given.
        value: String,
        /// Who gave it.
        origin: Origin,
        /// The words it knows.
        reason: ValueError,
    },
    /// A promise of security that is not kept yet.
    #[error(
        "{origin} asks for {promise}, which is not built in yet; starting without it would be unsafe. \
         Remove it to start without"
    )]
    Security {
        /// Who asked for it.
        origin: Origin,
        /// What was asked for.
        promise: &'static str,
    },
    /// A cluster of more than one member.
    #[error("{origin}: clusters of more than one member are not supported yet. Remove it to start a cluster of one")]
    Cluster {
        /// Who asked for it.
        origin: Origin,
    },
}

#[derive(Clone, Debug)]
struct Setting {
    value: String,
    origin: Origin,
}

/// Every option's value and where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    set: BTreeMap<&'static str, Setting>,
    /// What the operator should hear once the log is open.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Gathers all sources. `read` opens a file by its path.
    ///
    /// # Errors
    /// The first thing in any source that is wrong. Words and refused options are not looked at:
    /// see [`Settings::check`].
    pub fn gather(
        arguments: &[String],
        variables: &BTreeMap<String, String>,
        read: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, SettingsError> {
        let flags = flags::parse(arguments)?;
        let mut from_flags = Self::default();
        for flag in flags {
            from_flags.put(flag.name, flag.value, Origin::CommandLine(flag.typed));
        }
        if from_flags.boolean("help") || from_flags.boolean("version") {
            return Ok(from_flags);
        }
        let environment = environment::parse(variables)?;
        let mut from_environment = Self::default();
        for found in environment.values {
            from_environment.put(found.name, found.value, Origin::Environment(found.variable));
        }
        let file_name = |option| from_flags.lookup(option).or_else(|| from_environment.lookup(option));
        let etcd_file = file_name("config-file").filter(|path| !path.is_empty()).map(str::to_owned);
        let own_file = file_name("config").filter(|path| !path.is_empty()).map(str::to_owned);
        let mut settings = Self::default();
        match (etcd_file, own_file) {
            (Some(_), Some(_)) => return Err(SettingsError::TwoFiles),
            (Some(path), None) => {
                settings.put_file(&path, load(Format::Etcd, &path, read)?);
                settings.keep_program_options(&path, from_flags, from_environment);
                return Ok(settings);
            }
            (None, Some(path)) => settings.put_file(&path, load(Format::Product, &path, read)?),
            (None, None) => {}
        }
        for variable in environment.unknown {
            settings.warnings.push(format!("unrecognized environment variable {variable}"));
        }
        settings.shadow(from_environment);
        settings.shadow(from_flags);
        Ok(settings)
    }

    fn put(&mut self, name: &'static str, value: String, origin: Origin) {
        self.set.insert(name, Setting { value, origin });
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
        let mut ignored = 0;
        for (name, setting) in environment.set.into_iter().chain(flags.set) {
            if options::named(name).section == Section::Program {
                self.set.insert(name, setting);
            } else {
                ignored += 1;
            }
        }
        if ignored > 0 {
            self.warnings.push(format!(
                "{path} is in use, so {ignored} settings given by flags and environment variables are ignored"
            ));
        }
    }

    /// Looks at every option that was set: refuses unknown words and what cannot be ignored safely,
    /// and adds a warning for what is accepted without effect.
    ///
    /// # Errors
    /// The first option that is refused.
    pub fn check(&mut self) -> Result<(), SettingsError> {
        for (name, Setting { value, origin }) in &self.set {
            let spec = options::named(name);
            if let Err(reason) = spec.kind.check_choice(value) {
                let (value, origin) = (value.clone(), origin.clone());
                return Err(SettingsError::Choice { name: spec.name, value, origin, reason });
            }
            let changed = !spec.kind.same(value, spec.default);
            match spec.effect {
                Effect::RefusedSecurity(promise) if changed => {
                    return Err(SettingsError::Security { origin: origin.clone(), promise });
                }
                Effect::RefusedCluster if changed => {
                    return Err(SettingsError::Cluster { origin: origin.clone() });
                }
                Effect::NoMeaning => self.warnings.push(format!("{origin} has no meaning here and is ignored")),
                Effect::Later => self.warnings.push(format!("{origin} has no effect yet")),
                Effect::Retired => self.warnings.push(format!("{origin} is no longer supported and is ignored")),
                Effect::Works | Effect::RefusedSecurity(_) | Effect::RefusedCluster => {}
            }
        }
        Ok(())
    }

    fn lookup(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(|setting| setting.value.as_str())
    }

    /// Whether anything set this option.
    pub fn is_set(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// The value as text.
    pub fn text(&self, name: &str) -> &str {
        self.lookup(name).unwrap_or_else(|| options::named(name).default)
    }

    /// Where the value comes from.
    pub fn origin(&self, name: &str) -> Origin {
        self.set.get(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// The value of a [`Kind::Bool`].
    pub fn boolean(&self, name: &str) -> bool {
        value::boolean(self.text(name)).expect(CHECKED)
    }

    /// The value of a [`Kind::Unsigned`].
    pub fn unsigned(&self, name: &str) -> u64 {
        value::unsigned(self.text(name)).expect(CHECKED)
    }

    /// The value of a [`Kind::Port`], when there is one.
    pub fn port(&self, name: &str) -> Option<u16> {
        value::port(self.text(name)).expect(CHECKED)
    }

    /// The value of a [`Kind::Duration`].
    pub fn duration(&self, name: &str) -> Duration {
        duration::parse(self.text(name)).expect(CHECKED)
    }

    /// The value of a [`Kind::Urls`].
    pub fn urls(&self, name: &str) -> Vec<Url> {
        urls::parse_list(self.text(name)).expect(CHECKED)
    }

    /// The value of a [`Kind::List`].
    pub fn list(&self, name: &str) -> Vec<String> {
        value::list(self.text(name))
    }

    /// One line per option: its value and where that comes from. Secrets are not shown.
    pub fn print(&self) -> String {
        let shown = |spec: &OptionSpec| match spec.kind {
            Kind::Secret if self.is_set(spec.name) => "(hidden)".to_owned(),
            _ => format!("{:?}", self.text(spec.name)),
        };
        options::all()
            .filter(|spec| spec.allowed_in_files())
            .map(|spec| format!("{} = {}  # {}\n", spec.name, shown(spec), self.origin(spec.name)))
            .collect()
    }
}

/// Why the typed getters cannot fail.
const CHECKED: &str = "values are checked when they are set, defaults by the reference test";

fn load(format: Format, path: &str, read: impl Fn(&str) -> std::io::Result<String>) -> Result<File, SettingsError> {
    let text = read(path)
        .map_err(|error| SettingsError::Open { path: path.to_owned(), reason: crate::system_reason(&error) })?;
    files::parse(format, &text).map_err(|error| SettingsError::File { path: path.to_owned(), error })
}
