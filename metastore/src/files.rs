//! The two kinds of files that set options.
//!
//! ```text
//! --config       ours:    paths below `server:`; an unknown key is an error with its line
//! --config-file  etcd's:  etcd's names; an unknown key is a warning; durations are nanoseconds
//! ```

use crate::nearest::nearest;
use crate::options::{self, OptionSpec};
use crate::role::{Role, programs};
use crate::value::{Kind, ValueError};
use crate::yaml::{self, YamlError, YamlValue};

/// Which rules a file is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// This project's.
    Product,
    /// etcd's.
    Etcd,
}

/// One option set by a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileValue {
    /// The option's name in the table.
    pub name: &'static str,
    /// The line it stands on, from 1.
    pub line: u64,
    /// The value.
    pub value: String,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The options it sets.
    pub values: Vec<FileValue>,
    /// Keys that no option has, with their lines; always empty for [`Format::Product`].
    pub unknown: Vec<(String, u64)>,
}

/// Why a file is refused; the caller adds its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Not readable as YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A key that no option has.
    #[error("line {line}: unknown key {path:?}{}", hint(.nearest))]
    UnknownKey {
        /// The key's path.
        path: String,
        /// The line it stands on.
        line: u64,
        /// The path that may have been meant.
        nearest: Option<String>,
    },
    /// A key for another program.
    #[error(
        "line {line}: {path:?} is an option of {}, not of {}: put it into that program's file",
        programs(.spec.roles), .role.program()
    )]
    OtherProgram {
        /// The key's path.
        path: String,
        /// The line it stands on.
        line: u64,
        /// Its option.
        spec: &'static OptionSpec,
        /// Who reads the file.
        role: Role,
    },
    /// A value its option does not allow.
    #[error("line {line}: invalid value {value:?} for {path:?}: {reason}")]
    Value {
        /// The key's path.
        path: String,
        /// The line it stands on.
        line: u64,
        /// What it was given.
        value: String,
        /// Why that cannot be read.
        reason: ValueError,
    },
    /// etcd's file writes durations as numbers.
    #[error("line {line}: {path:?} must be a whole number of nanoseconds in etcd's file format, not {value:?}")]
    NotNanoseconds {
        /// The key's path.
        path: String,
        /// The line it stands on.
        line: u64,
        /// What it was given.
        value: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|path| format!("; did you mean {path:?}?")).unwrap_or_default()
}

/// Reads the text of a program's file by the rules of its format.
///
/// # Errors
/// The first thing in it that is wrong.
pub fn parse(role: Role, format: Format, text: &str) -> Result<File, FileError> {
    let mut file = File::default();
    for read in yaml::parse(text)? {
        match (by_path(format, &read.path), format) {
            (Some(spec), Format::Product) if !spec.is_of(role) => {
                return Err(FileError::OtherProgram { path: read.path, line: read.line, spec, role });
            }
            (Some(spec), Format::Etcd) if !spec.is_of(role) => file.unknown.push((read.path, read.line)),
            (Some(spec), _) => file.values.push(checked(format, spec, read)?),
            (None, Format::Etcd) => file.unknown.push((read.path, read.line)),
            (None, Format::Product) => {
                let paths: Vec<_> =
                    settable().filter(|spec| spec.is_of(role)).flat_map(OptionSpec::product_file_paths).collect();
                let typed =
                    if read.path.starts_with("server.") { read.path.clone() } else { format!("server.{}", read.path) };
                let nearest = nearest(&typed, paths.iter().map(String::as_str)).map(str::to_owned);
                return Err(FileError::UnknownKey { path: read.path, line: read.line, nearest });
            }
        }
    }
    Ok(file)
}

fn settable() -> impl Iterator<Item = &'static OptionSpec> {
    options::all().filter(|spec| spec.allowed_in_files())
}

/// A path that ends in `*` stands for every key below it.
fn by_path(format: Format, path: &str) -> Option<&'static OptionSpec> {
    settable().find(|spec| match format {
        Format::Etcd => spec.etcd_file_path() == path,
        Format::Product => spec
            .product_file_paths()
            .iter()
            .any(|own| own.strip_suffix('*').map_or(own == path, |prefix| path.starts_with(prefix))),
    })
}

fn checked(format: Format, spec: &'static OptionSpec, read: YamlValue) -> Result<FileValue, FileError> {
    let YamlValue { path, line, value, number } = read;
    let value = match (spec.kind, format) {
        (Kind::Duration, Format::Etcd) if !number || value.contains('.') => {
            return Err(FileError::NotNanoseconds { path, line, value });
        }
        (Kind::Duration, Format::Etcd) => format!("{value}ns"),
        _ => value,
    };
    match spec.kind.check_syntax(&value) {
        Ok(()) => Ok(FileValue { name: spec.name, line, value }),
        Err(reason) => {
            let value = if spec.kind == Kind::Secret { String::new() } else { value };
            Err(FileError::Value { path, line, value, reason })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn set(file: &File) -> Vec<(&str, &str)> {
        file.values.iter().map(|set| (set.name, set.value.as_str())).collect()
    }

    #[test]
    fn our_format_names_the_nearest_key() {
        let file =
            parse(Role::MetaStore, Format::Product, "server:\n  name: m1\n  etcd:\n    max_txn_ops: 7\n").unwrap();
        assert_eq!(set(&file), [("name", "m1"), ("max-txn-ops", "7")]);
        let error = parse(Role::MetaStore, Format::Product, "server:\n  data_dri: d\n").unwrap_err();
        assert_eq!(error.to_string(), r#"line 2: unknown key "server.data_dri"; did you mean "server.data_dir"?"#);
        let error = parse(Role::MetaStore, Format::Product, "server:\n  etcd:\n    max_txn_ops: many\n").unwrap_err();
        assert_eq!(error.to_string(), r#"line 3: invalid value "many" for "server.etcd.max_txn_ops": parse error"#);
    }

    #[test]
    fn families_of_old_keys_are_read() {
        let file = parse(Role::MetaStore, Format::Product, "server:\n  rocksdb:\n    max_open_files: 5\n").unwrap();
        assert_eq!(set(&file), [("rocksdb-options", "5")]);
    }

    #[test]
    fn etcds_format_warns_of_unknown_keys() {
        let text = "name: m1\nnonsense: 1\nclient-transport-security:\n  cert-file: c\nlog-outputs: [stderr, f]\n";
        let file = parse(Role::MetaStore, Format::Etcd, text).unwrap();
        assert_eq!(set(&file), [("name", "m1"), ("cert-file", "c"), ("log-outputs", "stderr,f")]);
        assert_eq!(file.unknown, [("nonsense".to_owned(), 2)]);
    }

    #[test]
    fn etcds_durations_are_nanoseconds() {
        let file = parse(Role::MetaStore, Format::Etcd, "watch-progress-notify-interval: 5000000000\n").unwrap();
        assert_eq!(set(&file), [("watch-progress-notify-interval", "5000000000ns")]);
        let error = parse(Role::MetaStore, Format::Etcd, "watch-progress-notify-interval: 5s\n").unwrap_err();
        assert!(matches!(error, FileError::NotNanoseconds { line: 1, .. }));
    }
}
