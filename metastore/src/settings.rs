//! Every option's value and where it comes from.
//!
//! Invariant: every value in here passed its kind's checks, so the typed getters cannot fail.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::duration;
use crate::options::{self, Effect, OptionSpec};
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
            Self::Environment(variable) => formatter.write_str(variable),
            Self::CommandLine(flag) => write!(formatter, "--{flag}"),
        }
    }
}

impl Origin {
    /// How a sentence names an option that came from here.
    fn names(&self, option: &str) -> String {
        match self {
            Self::File(..) | Self::Default => format!("{option} ({self})"),
            Self::Environment(_) | Self::CommandLine(_) => self.to_string(),
        }
    }
}

/// Why an option is refused although its value can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
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
        "{option} asks for {promise}, which is not built in yet; starting without it would be unsafe. \
         Remove it to start without"
    )]
    Security {
        /// The option, as its source names it.
        option: String,
        /// What was asked for.
        promise: &'static str,
    },
    /// Another way to form a cluster than naming its members.
    #[error("{option}: this way to form a cluster is not supported yet. Name its first members with --initial-cluster")]
    Cluster {
        /// The option, as its source names it.
        option: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// Every option's value and where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(crate) set: BTreeMap<&'static str, Setting>,
    /// What the operator should hear once the log is open.
    pub warnings: Vec<String>,
}

impl Settings {
    pub(crate) fn put(&mut self, name: &'static str, value: String, origin: Origin) {
        self.set.insert(name, Setting { value, origin });
    }

    /// Looks at every option that was set: refuses unknown words and what cannot be ignored safely,
    /// and adds a warning for what is accepted without effect.
    ///
    /// # Errors
    /// The first option that is refused.
    pub fn check(&mut self) -> Result<(), OptionError> {
        for (name, Setting { value, origin }) in &self.set {
            let spec = options::named(name);
            if let Err(reason) = spec.kind.check_choice(value) {
                let (value, origin) = (value.clone(), origin.clone());
                return Err(OptionError::Choice { name: spec.name, value, origin, reason });
            }
            let changed = !spec.kind.same(value, spec.default);
            let option = origin.names(name);
            match spec.effect {
                Effect::RefusedSecurity(promise) if changed => {
                    return Err(OptionError::Security { option, promise });
                }
                Effect::RefusedCluster if changed => return Err(OptionError::Cluster { option }),
                Effect::NoMeaning => self.warnings.push(format!("{option} has no meaning here and is ignored")),
                Effect::Later => self.warnings.push(format!("{option} has no effect yet")),
                Effect::Retired => self.warnings.push(format!("{option} is no longer supported and is ignored")),
                Effect::Works | Effect::RefusedSecurity(_) | Effect::RefusedCluster => {}
            }
        }
        Ok(())
    }

    pub(crate) fn lookup(&self, name: &str) -> Option<&str> {
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

    /// The value of a [`Kind::Duration`] for which 0 means the default.
    pub fn nonzero_duration(&self, name: &str) -> Duration {
        let value = self.duration(name);
        let default = || duration::parse(options::named(name).default).expect(CHECKED);
        if value.is_zero() { default() } else { value }
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
