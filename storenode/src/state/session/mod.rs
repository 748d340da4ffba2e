//! Sessions: a gateway's numbered writes, each applied at most once.
//!
//! ```text
//!  sequence   ... 7   8   9   10   11  ...
//!                 │   └── remembered: a repeated one gets its first answer
//!                 └ floor: every answer up to here has arrived; a repeated one is refused, never applied
//! ```
//!
//! A session's id is the log index of the entry that opened it; an entry opens at most one, a second is refused and
//! opened by another try. Invariant: a sequence above the floor is remembered if and only if it was applied.

mod answer;

use bytes::Bytes;
use internal_proto::{Error, Fault, Origin, SessionId};
use prost::Message;

pub(super) use self::answer::decodes as answer_decodes;
use super::apply::EntryContext;
use super::workspace::Workspace;
use super::{Limits, Outcome};
use crate::engine::SmallKey;

/// A session on disk; its answers are records of their own.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct SessionRecord {
    #[prost(uint64, tag = "1")]
    floor: u64,
}

impl SessionRecord {
    fn bytes(self) -> Bytes {
        self.encode_to_vec().into()
    }
}

/// What is to be done with a numbered write.
pub(super) enum Admission {
    /// Apply it, and remember its outcome.
    New,
    /// It was applied before, and this came of it.
    Remembered(Outcome),
    /// It cannot be known whether it was applied, or it is too far ahead. Not applied now.
    Refused(Error),
}

impl Workspace<'_> {
    /// Decides over a numbered write, and forgets the answers that its floor says have arrived.
    pub(super) fn admit(&mut self, origin: Origin, limits: Limits) -> Admission {
        let key = SmallKey::Session(origin.session);
        let Some(record) = self.small(&key) else { return Admission::Refused(Error::UnknownSession) };
        let record = SessionRecord::decode(record).expect("session records were checked when the state opened");
        if origin.sequence <= record.floor || origin.sequence <= origin.floor {
            return Admission::Refused(Error::AnswerForgotten);
        }
        let floor = record.floor.max(origin.floor);
        if floor > record.floor {
            self.forget_answers(origin.session, record.floor, floor);
            self.set_small(key, Some(SessionRecord { floor }.bytes()));
        }
        if let Some(answer) = self.small(&SmallKey::SessionAnswer(origin.session, origin.sequence))
            && !Fault::ForgottenSession.is_planted()
        {
            return Admission::Remembered(answer::decode(answer));
        }
        if origin.sequence - floor > limits.session_in_flight {
            return Admission::Refused(Error::TooManyRequests);
        }
        Admission::New
    }

    /// Keeps the outcome for a repeated write.
    pub(super) fn remember(&mut self, origin: Origin, outcome: &Outcome, limits: Limits) {
        let answer = answer::encode(outcome, limits.session_answer_bytes);
        self.set_small(SmallKey::SessionAnswer(origin.session, origin.sequence), Some(answer));
    }

    /// Opens the session of this entry.
    pub(super) fn open_session(&mut self, context: &mut EntryContext) -> Result<SessionId, Error> {
        if std::mem::replace(&mut context.opened, true) {
            return Err(Error::TooManyRequests);
        }
        let id = SessionId(context.index.0);
        self.set_small(SmallKey::Session(id), Some(SessionRecord { floor: 0 }.bytes()));
        Ok(id)
    }

    /// Forgets a session; one that is unknown is forgotten already.
    pub(super) fn close_session(&mut self, id: SessionId) {
        self.forget_answers(id, 0, u64::MAX);
        if self.small(&SmallKey::Session(id)).is_some() {
            self.set_small(SmallKey::Session(id), None);
        }
    }

    fn forget_answers(&mut self, id: SessionId, after: u64, through: u64) {
        let first = SmallKey::SessionAnswer(id, after);
        let arrived = |key: &SmallKey| matches!(key, SmallKey::SessionAnswer(of, n) if *of == id && *n <= through);
        for key in self.small_keys(&first, arrived) {
            self.set_small(key, None);
        }
    }
}
