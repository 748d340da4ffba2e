//! A client that numbers its writes, as gateways do: what got no answer is sent again under the same number, to whoever
//! may lead, until there is one.
//!
//! ```text
//!   OpenSession ─► session ─► write under the next number ─┬─► answer: done, it was applied once
//!                                    ▲                     ├─► refused, lost, or no word ─┐
//!                                    └──── somebody else ──┼──────────────────────────────┘
//!                                                          └─► session unknown: another session
//! ```

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use internal_proto::{Error, Operation, Origin, Response, SessionId};
use rand::Rng;
use rand::rngs::SmallRng;

use super::client::{KEYS, numbered, operation, written};
use super::cluster::Cluster;
use super::history::{Action, History, Outcome};
use super::machine::PendingWrite;

/// Milliseconds until a write is sent again: often before the first one is answered.
const PATIENCE: Range<u64> = 20..600;
/// Then its outcome stays unknown.
const MAX_TRIES: u32 = 50;

/// One client.
#[derive(Default)]
pub struct Repeater {
    /// Whom it takes for the leader.
    target: usize,
    /// The session, and its last number.
    session: Option<(SessionId, u64)>,
    under_way: Option<UnderWay>,
    repeated: u64,
}

struct UnderWay {
    operation: Operation,
    /// `None` while the session is opened.
    write: Option<Numbered>,
    answer: Option<PendingWrite>,
    until: Duration,
}

struct Numbered {
    /// In the history.
    number: usize,
    origin: Origin,
    /// It may be in the log.
    lost: bool,
    tries: u32,
}

impl Repeater {
    /// Whether nothing is under way.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Writes that were sent more than once.
    #[must_use]
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Looks at what is under way; with nothing under way, starts something if it may.
    pub fn step(&mut self, cluster: &Cluster, random: &mut SmallRng, history: &mut History, may_start: bool) {
        let Some(mut under_way) = self.under_way.take() else {
            if may_start {
                self.start(random, history);
            }
            return;
        };
        match under_way.answer.as_mut().and_then(PendingWrite::poll) {
            Some(answer) => self.answered(under_way, answer.map(|answer| answer.response), cluster, random, history),
            None if under_way.answer.is_some() && cluster.now() < under_way.until => self.under_way = Some(under_way),
            None => self.send(under_way, cluster, random),
        }
    }

    fn start(&mut self, random: &mut SmallRng, history: &mut History) {
        let until = Duration::ZERO;
        self.under_way = Some(match self.session {
            None => UnderWay { operation: Operation::OpenSession, write: None, answer: None, until },
            Some((session, last)) => {
                let key = numbered(random.random_range(0..KEYS));
                let value = Bytes::from(format!("numbered {}", history.started()));
                let action = if random.random_bool(0.8) { Action::Put { key, value } } else { Action::Delete { key } };
                let operation = operation(&action).expect("both are writes");
                let origin = Origin { session, sequence: last + 1, floor: last };
                let write = Numbered { number: history.start(action), origin, lost: false, tries: 0 };
                UnderWay { operation, write: Some(write), answer: None, until }
            }
        });
    }

    /// Sends it, for the first time or once more.
    fn send(&mut self, mut under_way: UnderWay, cluster: &Cluster, random: &mut SmallRng) {
        if under_way.answer.is_some() {
            self.target = random.random_range(0..cluster.size());
        }
        let mut origin = None;
        if let Some(write) = &mut under_way.write {
            origin = Some(write.origin);
            write.lost |= under_way.answer.is_some();
            self.repeated += u64::from(write.tries == 1);
            write.tries += 1;
            if write.tries > MAX_TRIES {
                // Its number must not pass for answered.
                self.session = None;
                return;
            }
        }
        if cluster.node(self.target).is_some() {
            under_way.answer = Some(cluster.machines[self.target].submit_as(origin, &under_way.operation));
            under_way.until = cluster.now() + Duration::from_millis(random.random_range(PATIENCE));
        } else {
            self.target = random.random_range(0..cluster.size());
            under_way.answer = None;
        }
        self.under_way = Some(under_way);
    }

    fn answered(
        &mut self,
        mut under_way: UnderWay,
        answer: Result<Response, Error>,
        cluster: &Cluster,
        random: &mut SmallRng,
        history: &mut History,
    ) {
        let Some(write) = &mut under_way.write else {
            if let Ok(Response::SessionOpened(session)) = answer {
                self.session = Some((session, 0));
            }
            return;
        };
        match answer {
            Ok(response) => {
                self.session = Some((write.origin.session, write.origin.sequence));
                history.finish(write.number, written(response));
            }
            Err(Error::UnknownSession) => {
                self.session = None;
                if !write.lost {
                    history.finish(write.number, Outcome::Refused);
                }
            }
            Err(Error::AnswerForgotten) => self.session = None,
            Err(error) => {
                self.target = match error {
                    Error::NotLeader { hint: Some(leader) } => cluster.index_of(leader),
                    _ => random.random_range(0..cluster.size()),
                };
                write.lost |= !matches!(error, Error::NotLeader { .. } | Error::NoLeader | Error::TooManyRequests);
                under_way.answer = None;
                self.under_way = Some(under_way);
            }
        }
    }
}
