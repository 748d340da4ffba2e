//! Environment variables: `METASTORE_NAME` for every option, `ETCD_NAME` for etcd's own.
//!
//! Kubernetes describes every service of a namespace in the environment of every pod, so a service
//! called `metastore` or `etcd` sets variables that look like options and are none.

use std::collections::BTreeMap;

use crate::options;
use crate::role::Role;
use crate::value::{Kind, ValueError};

/// One option set by the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentValue {
    /// The variable.
    pub variable: String,
    /// The option's name in the table.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// A variable whose value its option does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value {value:?} for {variable}: {reason}")]
pub struct EnvironmentError {
    variable: String,
    value: String,
    reason: ValueError,
}

/// What an environment says: the options it sets, and variables that look like options but are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// One value per option, from its strongest variable.
    pub values: Vec<EnvironmentValue>,
    /// Names of variables with one of our prefixes that no option has.
    pub unknown: Vec<String>,
    /// Names of variables for options of other programs, which may share this one's environment.
    pub others: Vec<String>,
}

/// Reads the variables of one program; empty ones count as not set.
///
/// # Errors
/// The first value that its option does not allow.
pub fn parse(role: Role, variables: &BTreeMap<String, String>) -> Result<Environment, EnvironmentError> {
    let mut environment = Environment::default();
    let mut known = Vec::new();
    for spec in options::all() {
        let names = spec.environment_names();
        let set = names.iter().find_map(|name| {
            let value = variables.get(name).filter(|value| !value.is_empty())?;
            (!is_service_variable(name, value)).then_some((name, value))
        });
        if let Some((variable, _)) = set.filter(|_| !spec.is_of(role)) {
            environment.others.push(variable.clone());
        } else if let Some((variable, value)) = set {
            spec.kind.check_syntax(value).map_err(|reason| EnvironmentError {
                variable: variable.clone(),
                value: if spec.kind == Kind::Secret { String::new() } else { value.clone() },
                reason,
            })?;
            let (variable, value) = (variable.clone(), value.clone());
            environment.values.push(EnvironmentValue { variable, name: spec.name, value });
        }
        known.extend(names);
    }
    environment.unknown = variables
        .iter()
        .filter(|(name, _)| name.starts_with("METASTORE_") || name.starts_with("ETCD_"))
        .filter(|(name, value)| !known.contains(name) && !is_service_variable(name, value))
        .map(|(name, _)| name.clone())
        .collect();
    Ok(environment)
}

/// Whether Kubernetes made this variable: `X_SERVICE_HOST`, `X_SERVICE_PORT[_NAME]`,
/// `X_PORT=tcp://…`, `X_PORT_2379_TCP[_ADDR|_PORT|_PROTO]`.
fn is_service_variable(name: &str, value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let address = PROTOCOLS
        .iter()
        .any(|protocol| value.strip_prefix(&protocol.to_ascii_lowercase()).is_some_and(|rest| rest.starts_with("://")));
    let per_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let mut words = rest.split('_');
        let number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
        number && words.next().is_some_and(|word| PROTOCOLS.contains(&word))
    });
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && address)
        || per_port
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(Role::MetaStore, &owned.collect())
    }

    #[test]
    fn both_prefixes_are_read_and_ours_is_stronger() {
        let read = environment(&[("ETCD_NAME", "theirs"), ("METASTORE_NAME", "ours"), ("ETCD_DATA_DIR", "d")]).unwrap();
        let values: Vec<_> = read.values.iter().map(|set| (set.variable.as_str(), set.value.as_str())).collect();
        assert_eq!(values, [("METASTORE_NAME", "ours"), ("ETCD_DATA_DIR", "d")]);
        assert!(read.unknown.is_empty());
    }

    #[test]
    fn kubernetes_service_variables_are_ignored() {
        let read = environment(&[
            ("METASTORE_PORT", "tcp://10.0.0.1:9121"),
            ("METASTORE_GRPC_PORT", "tcp://10.0.0.2:2379"),
            ("METASTORE_PORT_2379_TCP", "tcp://10.0.0.1:2379"),
            ("METASTORE_PORT_2379_TCP_ADDR", "10.0.0.1"),
            ("METASTORE_SERVICE_HOST", "10.0.0.1"),
            ("METASTORE_SERVICE_PORT_CLIENT", "2379"),
            ("ETCD_PORT_2379_TCP_PROTO", "tcp"),
        ]);
        assert_eq!(read, Ok(Environment::default()));
    }

    #[test]
    fn unknown_and_empty_variables_set_nothing() {
        let read = environment(&[("ETCD_NAME", ""), ("ETCD_NAEM", "x"), ("HOME", "/")]).unwrap();
        assert!(read.values.is_empty());
        assert_eq!(read.unknown, ["ETCD_NAEM"]);
    }

    #[test]
    fn bad_values_name_the_variable() {
        let error = environment(&[("ETCD_HEARTBEAT_INTERVAL", "soon")]).unwrap_err();
        assert_eq!(error.to_string(), r#"invalid value "soon" for ETCD_HEARTBEAT_INTERVAL: parse error"#);
    }
}
