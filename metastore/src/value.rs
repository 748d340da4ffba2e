//! What values look like: the kinds of options, and Go's rules for reading them.
//!
//! A value is checked twice, because etcd does so and the exit codes differ: [`Kind::check_syntax`]
//! while flags are read (exit code 2), [`Kind::check_choice`] when all are known (exit code 1).

use crate::duration;
use crate::urls;

/// What values of an option look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; a bare flag means `true`.
    Bool,
    /// Any text.
    Text,
    /// Any text, never shown.
    Secret,
    /// A whole number from 0, 64 bits.
    Unsigned,
    /// A whole number from 0, 32 bits.
    Unsigned32,
    /// A whole number, 64 bits.
    Signed,
    /// A port number, or nothing.
    Port,
    /// A host and a port, or nothing.
    Address,
    /// A time like `1m30s`.
    Duration,
    /// URLs with commas between them, or nothing.
    Urls,
    /// URLs, or `*`.
    UrlsOrStar,
    /// Texts with commas between them.
    List,
    /// One of these words, checked while flags are read.
    Choice(&'static [&'static str]),
    /// One of these words, checked when all flags are known.
    OneOf(&'static [&'static str]),
    /// `Name=true|false` pairs with commas between them.
    FeatureGates,
    /// Whatever was given is ignored; a bare flag takes no value.
    Anything,
}

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not of the form its kind asks for.
    #[error("parse error")]
    Parse,
    /// A number that does not fit.
    #[error("value out of range")]
    Range,
    /// Not a host and a port.
    #[error("it must be a host and a port, like 127.0.0.1:2379")]
    Address,
    /// Not one of the words.
    #[error("it must be one of {0}")]
    NotOneOf(String),
    /// A feature gate etcd does not have.
    #[error("unrecognized feature gate: {0}")]
    UnknownGate(String),
    /// A feature gate without `=true` or `=false`.
    #[error("missing bool value for {0}")]
    GateWithoutValue(String),
    /// Not a list of URLs.
    #[error(transparent)]
    Url(#[from] urls::UrlError),
}

const FEATURE_GATES: &[&str] = &[
    "AllAlpha",
    "AllBeta",
    "CompactHashCheck",
    "FastLeaseKeepAlive",
    "InitialCorruptCheck",
    "LeaseCheckpoint",
    "LeaseCheckpointPersist",
    "PriorityRequest",
    "SetMemberLocalAddr",
    "StopGRPCServiceOnDefrag",
    "TxnModeWriteWithSharedBuffer",
];

impl Kind {
    /// Whether a flag without `=` takes no value.
    pub fn is_bare(self) -> bool {
        matches!(self, Self::Bool | Self::Anything)
    }

    /// The value that stands for "not set".
    pub(crate) const fn empty(self) -> &'static str {
        match self {
            Self::Bool => "false",
            _ => "",
        }
    }

    /// Checks a value as Go's flag package would.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn check_syntax(self, value: &str) -> Result<(), ValueError> {
        match self {
            Self::Bool => boolean(value).map(drop).ok_or(ValueError::Parse),
            Self::Unsigned => unsigned(value).map(drop),
            Self::Unsigned32 => match unsigned(value)? {
                number if u32::try_from(number).is_ok() => Ok(()),
                _ => Err(ValueError::Range),
            },
            Self::Signed => signed(value).map(drop),
            Self::Port => port(value).map(drop),
            Self::Address if value.is_empty() => Ok(()),
            Self::Address => match value.rsplit_once(':') {
                Some((_, tail)) if port(tail).is_ok() => Ok(()),
                _ => Err(ValueError::Address),
            },
            Self::Duration => duration::parse(value).map(drop).ok_or(ValueError::Parse),
            Self::Urls => urls::parse_list(value).map(drop).map_err(ValueError::Url),
            Self::UrlsOrStar if value == "*" => Ok(()),
            Self::UrlsOrStar => urls::parse_list(value).map(drop).map_err(ValueError::Url),
            Self::Choice(words) => one_of(value, words),
            Self::FeatureGates => feature_gates(value),
            Self::Text | Self::Secret | Self::List | Self::OneOf(_) | Self::Anything => Ok(()),
        }
    }

    /// Checks what etcd checks only once all flags are known.
    ///
    /// # Errors
    /// The words it must be one of.
    pub fn check_choice(self, value: &str) -> Result<(), ValueError> {
        match self {
            Self::OneOf(words) => one_of(value, words),
            _ => Ok(()),
        }
    }

    /// Whether two values mean the same.
    pub fn same(self, left: &str, right: &str) -> bool {
        match self {
            Self::Bool => boolean(left) == boolean(right),
            Self::Unsigned | Self::Unsigned32 => unsigned(left) == unsigned(right),
            Self::Duration => duration::parse(left) == duration::parse(right),
            _ => left == right,
        }
    }
}

fn one_of(value: &str, words: &[&str]) -> Result<(), ValueError> {
    if words.contains(&value) {
        return Ok(());
    }
    let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).copied().collect();
    Err(ValueError::NotOneOf(words.join(", ")))
}

fn feature_gates(value: &str) -> Result<(), ValueError> {
    for pair in value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, state) = match pair.split_once('=') {
            Some((name, state)) => (name.trim(), Some(state.trim())),
            None => (pair, None),
        };
        if state.and_then(boolean).is_none() {
            return Err(ValueError::GateWithoutValue(name.to_owned()));
        }
        if !FEATURE_GATES.contains(&name) {
            return Err(ValueError::UnknownGate(name.to_owned()));
        }
    }
    Ok(())
}

/// Reads a boolean as Go does.
pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a whole number as Go does: decimal, or with a prefix 0x, 0o, 0b, or an octal 0; underscores
/// may stand between digits.
///
/// # Errors
/// When it is no number, or above 64 bits.
pub fn unsigned(value: &str) -> Result<u64, ValueError> {
    let lower = value.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    let groups = digits.split('_');
    if !groups.clone().all(|group| !group.is_empty() && group.chars().all(|digit| digit.is_digit(radix))) {
        return Err(ValueError::Parse);
    }
    u64::from_str_radix(&groups.collect::<String>(), radix).map_err(|_| ValueError::Range)
}

/// Reads a whole number with an optional sign as Go does.
///
/// # Errors
/// When it is no number, or does not fit 64 bits.
pub fn signed(value: &str) -> Result<i64, ValueError> {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value.strip_prefix('+').unwrap_or(value)),
    };
    let magnitude = i128::from(unsigned(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| ValueError::Range)
}

/// Reads a port number; empty is none.
///
/// # Errors
/// When it is no number, or above 65535.
pub fn port(value: &str) -> Result<Option<u16>, ValueError> {
    if value.is_empty() {
        return Ok(None);
    }
    u16::try_from(unsigned(value)?).map(Some).map_err(|_| ValueError::Range)
}

/// Splits a list at its commas; nothing is an empty list.
pub fn list(value: &str) -> Vec<String> {
    value.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
