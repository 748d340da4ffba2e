//! What `storenode` does besides serving.
//!
//! ```text
//!  storenode status --endpoint URL,…   ─Admin.Status─► running nodes ─► a table, or a line of JSON each
//!  storenode drain  --endpoint URL     ─Admin.Drain──► running node
//!  storenode verify --data-dir DIR     reads the files of a node that does not run
//! ```

use std::time::Duration;

use internal_proto::MemberId;
use internal_proto::admin::{AdminClient, NodeStatus, Nothing};
use internal_proto::introduction::{FORMAT, FORMAT_KEY, TOKEN_KEY};
use storenode::verify::verify;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::data_dir::{self, DataDirError};
use crate::role::Role;
use crate::settings::Settings;
use crate::{config, urls};

/// For a connection to a node that is asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For an answer: a hand-over takes an election timeout at most, which is 50 s at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A word before the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Status,
    Drain,
    Verify,
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A node that does not answer, or refuses: told among the others.
    #[error("not every node has answered")]
    NoAnswer,
    /// The data cannot be looked at.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// What was found.
    #[error("the data is damaged")]
    Damaged,
    /// No threads or sockets.
    #[error("the system gives no threads: {0}")]
    System(#[from] std::io::Error),
}

impl Command {
    /// Takes the command off a command line.
    pub(crate) fn take(role: Role, arguments: &[String]) -> (Option<Self>, &[String]) {
        let Some((word, rest)) = arguments.split_first().filter(|_| role == Role::StoreNode) else {
            return (None, arguments);
        };
        match word.as_str() {
            "status" => (Some(Self::Status), rest),
            "drain" => (Some(Self::Drain), rest),
            "verify" => (Some(Self::Verify), rest),
            _ => (None, arguments),
        }
    }

    /// Does it; what there is to say goes to `say`.
    ///
    /// # Errors
    /// [`CommandError::NoAnswer`] and [`CommandError::Damaged`] after everything was said.
    pub(crate) fn run(self, settings: &Settings, say: &mut impl FnMut(&str)) -> Result<(), CommandError> {
        match self {
            Self::Verify => look(settings, say),
            Self::Status | Self::Drain => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(self.ask_all(settings, say))
            }
        }
    }

    async fn ask_all(self, settings: &Settings, say: &mut impl FnMut(&str)) -> Result<(), CommandError> {
        let json = settings.text("output") == "json";
        if !json {
            say(&table_head());
        }
        let mut failure = None;
        for endpoint in urls::texts(&settings.urls("endpoint")) {
            match self.ask(&endpoint, settings.text("initial-cluster-token")).await {
                Ok(status) if json => say(&json_line(&endpoint, &status)),
                Ok(status) => say(&table_line(&endpoint, &status)),
                Err(status) => {
                    let reason = status.message().to_owned();
                    say(&if json { json_failure(&endpoint, &reason) } else { format!("{endpoint:<26} {reason}") });
                    failure = Some(CommandError::NoAnswer);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn ask(self, endpoint: &str, token: &str) -> Result<NodeStatus, Status> {
        let invalid = |error: tonic::transport::Error| Status::invalid_argument(error.to_string());
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(invalid)?;
        let unreachable = |_| Status::unavailable("nobody answers at this peer URL");
        let channel: Channel =
            endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_WITHIN).connect().await.map_err(unreachable)?;
        let mut client = AdminClient::new(channel);
        let mut question = Request::new(Nothing {});
        question.metadata_mut().insert(FORMAT_KEY, FORMAT.into());
        question.metadata_mut().insert_bin(TOKEN_KEY, MetadataValue::from_bytes(token.as_bytes()));
        let answer = if self == Self::Drain { client.drain(question).await } else { client.status(question).await };
        answer.map(tonic::Response::into_inner)
    }
}

/// Names and widths of the table's columns; the last one is as long as it is.
const COLUMNS: [(&str, usize); 10] = [
    ("ENDPOINT", 26),
    ("MEMBER", 17),
    ("NAME", 13),
    ("LEADER", 17),
    ("TERM", 6),
    ("APPLIED", 10),
    ("REVISION", 10),
    ("DB SIZE", 12),
    ("ENGINE", 9),
    ("STATE", 0),
];

fn line(cells: [String; COLUMNS.len()]) -> String {
    let padded = cells.into_iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:<width$} "));
    padded.collect::<String>().trim_end().to_owned()
}

fn table_head() -> String {
    line(COLUMNS.map(|(name, _)| name.to_owned()))
}

fn table_line(endpoint: &str, status: &NodeStatus) -> String {
    let leader = status.leader.map_or_else(|| "none".to_owned(), |leader| MemberId(leader).to_string());
    let drained = status.drained.then(|| "drained".to_owned());
    let state: Vec<_> = drained.into_iter().chain(status.errors.iter().cloned()).collect();
    line([
        endpoint.to_owned(),
        MemberId(status.member).to_string(),
        status.name.clone(),
        if status.leader == Some(status.member) { format!("{leader} *") } else { leader },
        status.term.to_string(),
        status.applied.to_string(),
        status.revision.to_string(),
        status.db_size.to_string(),
        status.engine.clone(),
        if state.is_empty() { "ok".to_owned() } else { state.join("; ") },
    ])
}

/// Ids are hexadecimal texts, as people compare them; a number of 64 bits is more than most readers of JSON can hold.
fn json_line(endpoint: &str, status: &NodeStatus) -> String {
    let id = |id: u64| MemberId(id).to_string();
    let fields = serde_json::json!({
        "endpoint": endpoint,
        "cluster": id(status.cluster),
        "member": id(status.member),
        "name": status.name,
        "leader": status.leader.map(id),
        "leads": status.leader == Some(status.member),
        "term": status.term,
        "committed": status.committed,
        "applied": status.applied,
        "revision": status.revision,
        "dbSize": status.db_size,
        "dbSizeInUse": status.db_size_in_use,
        "engine": status.engine,
        "drained": status.drained,
        "errors": status.errors,
    });
    fields.to_string()
}

fn json_failure(endpoint: &str, reason: &str) -> String {
    serde_json::json!({ "endpoint": endpoint, "error": reason }).to_string()
}

/// Looks at the data of a node that does not run.
fn look(settings: &Settings, say: &mut impl FnMut(&str)) -> Result<(), CommandError> {
    let path = config::data_dir(settings);
    let looked = data_dir::look(&path)?;
    let findings = verify(&looked.store, looked.identity);
    findings.iter().for_each(|finding| say(&finding.to_string()));
    if findings.iter().all(|finding| finding.outcome.is_ok()) { Ok(()) } else { Err(CommandError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_marks_the_leader_and_says_what_is_wrong() {
        let leads = NodeStatus { member: 1, leader: Some(1), engine: "memory".to_owned(), ..NodeStatus::default() };
        assert!(table_line("http://a:1", &leads).ends_with(" memory    ok"));
        assert!(table_line("http://a:1", &leads).contains(" 1 * "));
        let lost = NodeStatus { member: 1, drained: true, errors: vec!["no leader".to_owned()], ..leads };
        assert!(table_line("http://a:1", &NodeStatus { leader: None, ..lost }).ends_with("drained; no leader"));
    }

    #[test]
    fn only_a_storage_node_has_commands() {
        let line = ["verify".to_owned(), "--data-dir=x".to_owned()];
        assert_eq!(Command::take(Role::StoreNode, &line), (Some(Command::Verify), &line[1..]));
        assert_eq!(Command::take(Role::Gateway, &line), (None, &line[..]));
        assert_eq!(Command::take(Role::StoreNode, &line[1..]), (None, &line[1..]));
    }
}
