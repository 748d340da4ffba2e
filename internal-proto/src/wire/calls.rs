//! Calls and what is told of them.

use super::{Malformed, required};
use crate::generated::metastore::command::Nothing;
use crate::generated::metastore::store::{self as wire, call::Ask as WireAsk, outcome::Outcome as WireOutcome};
use crate::{Answer, Barrier, Command, Error, Freshness, LogIndex, Request, Revision, Route, Term};

/// One thing that a gateway asks of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Log a command.
    Write(Command),
    /// Read the applied state, once it is fresh enough. Never a request whose route is `Write`.
    Query(Request, Freshness),
    /// Say what is committed.
    Barrier,
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// To a write or a query.
    Answer(Answer),
    /// To a barrier.
    Barrier(Barrier),
}

impl wire::Call {
    /// A call in wire form.
    #[must_use]
    pub fn new(number: u64, ask: &Ask) -> Self {
        let ask = match ask {
            Ask::Write(command) => WireAsk::Write(command.into()),
            Ask::Query(request, freshness) => WireAsk::Query(wire::Query {
                request: Some(request.into()),
                applied: freshness.applied.0,
                revision: freshness.revision.0,
            }),
            Ask::Barrier => WireAsk::Barrier(Nothing {}),
        };
        Self { number, ask: Some(ask) }
    }

    /// The call's number, and what it asks.
    ///
    /// # Errors
    /// [`Malformed`] when it asks nothing that a node can be asked.
    pub fn ask(self) -> Result<(u64, Ask), Malformed> {
        let ask = match required(self.ask, "what a call asks")? {
            WireAsk::Write(command) => Ask::Write(command.try_into()?),
            WireAsk::Query(query) => {
                let request = Request::try_from(required(query.request, "a query's request")?)?;
                if request.route() == Route::Write {
                    return Err(Malformed(format!("{} is no query", request.name())));
                }
                let freshness = Freshness { applied: LogIndex(query.applied), revision: Revision(query.revision) };
                Ask::Query(request, freshness)
            }
            WireAsk::Barrier(Nothing {}) => Ask::Barrier,
        };
        Ok((self.number, ask))
    }
}

impl From<&Result<Told, Error>> for wire::Outcome {
    fn from(outcome: &Result<Told, Error>) -> Self {
        let outcome = match outcome {
            Ok(Told::Answer(answer)) => WireOutcome::Answer(answer.into()),
            Ok(Told::Barrier(barrier)) => {
                WireOutcome::Barrier(wire::Barrier { index: barrier.index.0, term: barrier.term.0 })
            }
            Err(error) => WireOutcome::Error(error.into()),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<wire::Outcome> for Result<Told, Error> {
    type Error = Malformed;

    fn try_from(outcome: wire::Outcome) -> Result<Self, Malformed> {
        Ok(match required(outcome.outcome, "an outcome")? {
            WireOutcome::Answer(answer) => Ok(Told::Answer(answer.try_into()?)),
            WireOutcome::Barrier(barrier) => {
                Ok(Told::Barrier(Barrier { index: LogIndex(barrier.index), term: Term(barrier.term) }))
            }
            WireOutcome::Error(error) => Err(error.into()),
        })
    }
}
