//! The one match over what a command can do.
//!
//! ```text
//!  Command ──► session: seen before? ──► operation ──► Response or refusal ──► session: remember
//! ```
//!
//! Invariant: a refused command changed nothing but, at most, its session's floor.

use internal_proto::{Command, CompactRequest, Error, LogIndex, Operation, Response};

use super::session::Admission;
use super::workspace::Workspace;
use super::{Limits, Outcome};

/// What is the same for all commands of an entry.
pub(super) struct EntryContext {
    pub(super) index: LogIndex,
    pub(super) limits: Limits,
    /// Whether the entry has opened its one session.
    pub(super) opened: bool,
}

/// Applies one command.
pub(super) fn command(workspace: &mut Workspace<'_>, context: &mut EntryContext, command: &Command) -> Outcome {
    let Some(origin) = command.origin else {
        let result = operation(workspace, context, &command.operation);
        workspace.end_command();
        return Outcome { result, revision: workspace.position.revision };
    };
    match workspace.admit(origin, context.limits) {
        Admission::New => {
            let result = operation(workspace, context, &command.operation);
            workspace.end_command();
            let outcome = Outcome { result, revision: workspace.position.revision };
            workspace.remember(origin, &outcome, context.limits);
            outcome
        }
        Admission::Remembered(outcome) => outcome,
        Admission::Refused(error) => Outcome { result: Err(error), revision: workspace.position.revision },
    }
}

fn operation(
    workspace: &mut Workspace<'_>,
    context: &mut EntryContext,
    operation: &Operation,
) -> Result<Response, Error> {
    match operation {
        Operation::Put(put) => {
            workspace.check_put(put)?;
            Ok(Response::Put(workspace.put(put)))
        }
        Operation::DeleteRange(delete) => Ok(Response::DeleteRange(workspace.delete_range(delete))),
        Operation::Txn(txn) => workspace.txn(txn).map(Response::Txn),
        Operation::Compact(compact) => self::compact(workspace, *compact),
        Operation::LeaseGrant(grant) => workspace.grant(grant).map(Response::LeaseGrant),
        Operation::LeaseRevoke(id) => workspace.revoke(*id).map(|()| Response::LeaseRevoke),
        Operation::LeaseCheckpoint(checkpoints) => {
            workspace.checkpoint(checkpoints);
            Ok(Response::Done)
        }
        Operation::OpenSession => workspace.open_session(context).map(Response::SessionOpened),
        Operation::CloseSession(id) => {
            workspace.close_session(*id);
            Ok(Response::Done)
        }
        Operation::PublishMember(member) => {
            workspace.publish_member(member);
            Ok(Response::Done)
        }
    }
}

/// Moves the compacted revision; the versions below it are dropped in the background.
fn compact(workspace: &mut Workspace<'_>, request: CompactRequest) -> Result<Response, Error> {
    if request.revision <= workspace.position.compacted {
        return Err(Error::Compacted);
    }
    if request.revision > workspace.position.revision {
        return Err(Error::FutureRevision);
    }
    workspace.position.compacted = request.revision;
    Ok(Response::Compact)
}
