//! Writes: to the leader, each applied once.
//!
//! ```text
//!             ┌──────────── refused unlogged: the same number again ◄───────────┐
//!  number ─► leader ── answer ─► done                                           │
//!             │  └── lost: it may be in the log, so only under the same number ─┤
//!             └── session unknown ── never lost before ─► another session, another number
//!                                 └─ lost before ───────► outcome unknown
//! ```

use internal_proto::{
    Answer, AuthRevision, Command, CompactRequest, Error, MemberId, Operation, Origin, Request, Response, SessionId,
};

use super::session::Ticket;
use super::topology::Pursuit;
use super::{LEADER_RETRY, Router};

/// What became of a write under one number.
enum Tried {
    Done(Result<Answer, Error>),
    /// The cluster does not know the session, and nothing was applied.
    UnknownSession,
}

/// What one try tells.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The answer stands.
    Answered,
    /// It is not in the log, and another node may take it.
    NotLogged { hint: Option<MemberId> },
    /// It may be in the log.
    Lost,
    /// Refused before the log, for reasons that may pass.
    Refused,
}

fn verdict(answer: &Result<Answer, Error>) -> Verdict {
    match answer {
        Err(Error::NotLeader { hint }) => Verdict::NotLogged { hint: *hint },
        Err(Error::NoLeader) => Verdict::NotLogged { hint: None },
        Err(
            Error::TimeoutConnectionLost
            | Error::TimeoutLeaderFail
            | Error::LeaderChanged
            | Error::Stopped
            | Error::Timeout,
        ) => Verdict::Lost,
        Err(Error::TooManyRequests | Error::NoSpace) => Verdict::Refused,
        _ => Verdict::Answered,
    }
}

impl Router {
    pub(super) async fn write(&self, request: Request) -> Result<Answer, Error> {
        let operation = operation(request);
        // A physical compaction is answered when the history is gone, and its number would hold up the floor till then.
        let numbered = !matches!(operation, Operation::Compact(CompactRequest { physical: true, .. }));
        if !numbered || self.nodes.view().sole().is_some() {
            return self.write_once(operation).await;
        }
        let mut lost = false;
        let timeout = tokio::time::timeout(self.write_timeout, self.write_numbered(&operation, &mut lost)).await;
        timeout.unwrap_or(Err(if lost { Error::TimeoutConnectionLost } else { Error::Timeout }))
    }

    /// Nobody will repeat it: a lost answer stays lost.
    async fn write_once(&self, operation: Operation) -> Result<Answer, Error> {
        let mut pursuit = Pursuit::default();
        loop {
            let leader = self.leader(&mut pursuit).await;
            // A clone of a command only counts references: a refused write can be sent again.
            match leader.pipeline.send(command(None, &operation)).await {
                Err(Error::NotLeader { hint }) => self.refused(&mut pursuit, leader.id, hint).await,
                Err(Error::NoLeader) => tokio::time::sleep(LEADER_RETRY).await,
                answer => return answer,
            }
        }
    }

    async fn write_numbered(&self, operation: &Operation, lost: &mut bool) -> Result<Answer, Error> {
        loop {
            let router = self.clone();
            let ticket = self.session.ticket(move || router.clone().open_session()).await;
            match self.write_as(&ticket, operation, lost).await {
                Tried::Done(answer) => return answer,
                Tried::UnknownSession => {}
            }
        }
    }

    /// Sends a write under one number until its outcome is known.
    async fn write_as(&self, ticket: &Ticket, operation: &Operation, lost: &mut bool) -> Tried {
        let mut pursuit = Pursuit::default();
        loop {
            let leader = self.leader(&mut pursuit).await;
            let sent = leader.pipeline.send(command(Some(ticket.origin()), operation));
            let answer = self.until_succeeded(leader.id, sent).await;
            match (verdict(&answer), answer) {
                (Verdict::NotLogged { hint }, _) => self.refused(&mut pursuit, leader.id, hint).await,
                (Verdict::Lost, _) => {
                    *lost = true;
                    tokio::time::sleep(LEADER_RETRY).await;
                }
                // An earlier try may be in the log: this refusal is not what became of the write.
                (Verdict::Refused, _) if *lost => tokio::time::sleep(LEADER_RETRY).await,
                (_, Err(Error::UnknownSession)) => {
                    ticket.forgotten();
                    return if *lost { Tried::Done(Err(Error::TimeoutConnectionLost)) } else { Tried::UnknownSession };
                }
                (_, Err(Error::AnswerForgotten)) => {
                    tracing::warn!("a write that was repeated had been answered, and its answer is forgotten");
                    return Tried::Done(Err(Error::TimeoutConnectionLost));
                }
                (_, answer) => return Tried::Done(answer),
            }
        }
    }

    /// Opens a session; one whose opening was lost ends by itself.
    async fn open_session(self) -> Result<SessionId, Error> {
        let mut pursuit = Pursuit::default();
        let leader = self.leader(&mut pursuit).await;
        let opened = leader.pipeline.send(command(None, &Operation::OpenSession));
        match self.until_succeeded(leader.id, opened).await?.response {
            Response::SessionOpened(session) => Ok(session),
            _ => Err(Error::NotCapable),
        }
    }
}

fn command(origin: Option<Origin>, operation: &Operation) -> Command {
    Command { origin, auth: AuthRevision::default(), operation: operation.clone() }
}

/// The logged form of a request whose route is `Write`.
fn operation(request: Request) -> Operation {
    match request {
        Request::Put(put) => Operation::Put(put),
        Request::DeleteRange(delete) => Operation::DeleteRange(delete),
        Request::Txn(txn) => Operation::Txn(txn),
        Request::Compact(compact) => Operation::Compact(compact),
        Request::LeaseGrant(grant) => Operation::LeaseGrant(grant),
        Request::LeaseRevoke(id) => Operation::LeaseRevoke(id),
        read => unreachable!("{} is no write", read.name()),
    }
}
