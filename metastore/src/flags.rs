//! The command line, in the syntax of Go's flag package.
//!
//! ```text
//! -x  --x  --x=true      a boolean; bare means true and takes no value
//! --x=y  --x y  -x=y     anything else
//! --x=a --x=b            the last one wins
//! --  word               ends the flags; etcd refuses what is left
//! ```

use crate::nearest::nearest;
use crate::options::{self, OptionSpec};
use crate::role::{Role, programs};
use crate::value::{Kind, ValueError};

/// One option set on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagValue {
    /// The flag as typed, without dashes.
    pub typed: String,
    /// The option's name in the table.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// Why a command line is refused. All but the last end etcd with exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// Not in the table.
    #[error("flag provided but not defined: -{flag}{}", hint(.nearest))]
    Unknown {
        /// The flag as typed, without dashes.
        flag: String,
        /// The flag that may have been meant.
        nearest: Option<String>,
    },
    /// In the table, for another program.
    #[error("-{} is an option of {}, not of {}: give it to that program", .0.name, programs(.0.roles), .1.program())]
    OtherProgram(&'static OptionSpec, Role),
    /// Too many dashes, or none after them.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// The command line ended where a value was due.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// A value its kind does not allow.
    #[error("invalid value {value:?} for flag -{flag}: {reason}")]
    Value {
        /// The flag as typed, without dashes.
        flag: String,
        /// What it was given.
        value: String,
        /// Why that cannot be read.
        reason: ValueError,
    },
    /// Neither true nor false.
    #[error("invalid boolean value {value:?} for -{flag}: parse error")]
    Boolean {
        /// The flag as typed, without dashes.
        flag: String,
        /// What it was given.
        value: String,
    },
    /// A word that is no flag.
    #[error("{0:?} is not a valid flag")]
    Word(String),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|flag| format!(" (did you mean --{flag}?)")).unwrap_or_default()
}

impl FlagError {
    /// The exit code etcd ends with.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Word(_)) { 1 } else { 2 }
    }
}

/// Reads a program's command line without its own name.
///
/// # Errors
/// The first argument that cannot be read.
pub fn parse(role: Role, arguments: &[String]) -> Result<Vec<FlagValue>, FlagError> {
    let mut values = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
            return Err(FlagError::Word(argument.clone()));
        };
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        if flag.is_empty() {
            return rest.next().map_or(Ok(values), |word| Err(FlagError::Word(word.clone())));
        }
        if flag.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(argument.clone()));
        }
        let (typed, value) = match flag.split_once('=') {
            Some((typed, value)) => (typed, Some(value.to_owned())),
            None => (flag, None),
        };
        let spec = options::by_flag(typed).ok_or_else(|| unknown(role, typed))?;
        if !spec.is_of(role) {
            return Err(FlagError::OtherProgram(spec, role));
        }
        let value = match value {
            Some(value) => value,
            None if spec.kind.is_bare() => "true".to_owned(),
            None => rest.next().cloned().ok_or_else(|| FlagError::NoValue(typed.to_owned()))?,
        };
        check(spec, typed, &value)?;
        values.push(FlagValue { typed: typed.to_owned(), name: spec.name, value });
    }
    Ok(values)
}

fn check(spec: &OptionSpec, typed: &str, value: &str) -> Result<(), FlagError> {
    let (flag, value) = (typed.to_owned(), value.to_owned());
    match (spec.kind.check_syntax(&value), spec.kind) {
        (Ok(()), _) => Ok(()),
        (Err(_), Kind::Bool) => Err(FlagError::Boolean { flag, value }),
        (Err(reason), Kind::Secret) => Err(FlagError::Value { flag, value: String::new(), reason }),
        (Err(reason), _) => Err(FlagError::Value { flag, value, reason }),
    }
}

fn unknown(role: Role, typed: &str) -> FlagError {
    let names = options::of(role).flat_map(|spec| spec.aliases.iter().chain([&spec.name]));
    let nearest = nearest(typed, names.copied()).map(str::to_owned);
    FlagError::Unknown { flag: typed.to_owned(), nearest }
}
