//! A client that asks the same questions in turn, at a steady rate as long as not too many are open, and judges every
//! answer however late it comes.
//!
//! ```text
//!  asked      1 2 3 1 2 3 1 2 3 1 2 3 1 2 3
//!  answered     1 2 3 1 2                3 1 2 3 1 2 ...
//!                       └─ without 3: ───┘
//! ```
//!
//! Invariant: an answer is what is expected, or SERVFAIL, or wrong: there is no fourth.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Answer, Code, MAX_DATAGRAM, Question, Record};
use crate::coredns::ANSWER_WITHIN;

/// Often enough to see a short outage, seldom enough not to be the load.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// So few that their answers fit into a socket's buffer, should all come at once: none is lost.
const OPEN: usize = 100;
/// Right answers that show that names are served.
const GOES_ON: usize = 200;
const GOES_ON_WITHIN: Duration = Duration::from_secs(60);
/// More would tell nothing new.
const SHOWN: usize = 10;

/// A question with the only right answer.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What is asked.
    pub question: Question,
    /// Success, or that there is no such name.
    pub code: Code,
    /// In order.
    pub records: Vec<Record>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Right answers
    pub right: usize,
    /// Answers that say that the server could not find out
    pub failures: usize,
    /// Questions without any answer
    pub unanswered: usize,
    /// How many other answers
    pub wrong: usize,
    /// The first of these
    pub wrong_answers: Vec<String>,
    /// For how long one of the questions had no right answer, at most
    pub longest_without: Duration,
}

/// A client at work.
pub struct Asking {
    stop: oneshot::Sender<()>,
    right: watch::Receiver<usize>,
    task: JoinHandle<std::io::Result<Outcome>>,
}

impl Asking {
    /// Begins.
    #[must_use]
    pub fn start(server: SocketAddr, expectations: Vec<Expectation>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (report, right) = watch::channel(0);
        let task = tokio::spawn(ask(server, Judge::new(expectations, Instant::now()), stopped, report));
        Self { stop, right, task }
    }

    /// Waits for right answers.
    ///
    /// # Panics
    /// When none come.
    pub async fn goes_on(&mut self) {
        let target = *self.right.borrow() + GOES_ON;
        let enough = self.right.wait_for(|right| *right >= target);
        let enough = timeout(GOES_ON_WITHIN, enough).await;
        assert!(matches!(enough, Ok(Ok(_))), "no right answers any more");
    }

    /// Ends it, once every question is answered or never will be.
    ///
    /// # Panics
    /// When the socket fails.
    pub async fn finish(self) -> Outcome {
        drop(self.stop);
        self.task.await.expect("it does not panic").expect("a datagram socket on loopback works")
    }
}

async fn ask(
    server: SocketAddr,
    mut judge: Judge,
    mut stopped: oneshot::Receiver<()>,
    report: watch::Sender<usize>,
) -> std::io::Result<Outcome> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let mut datagram = [0; MAX_DATAGRAM];
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick(), if judge.open.len() < OPEN => { socket.send(&judge.next_question()).await?; }
            length = socket.recv(&mut datagram) => {
                judge.receive(&datagram[..length?], Instant::now());
                report.send_replace(judge.outcome.right);
            }
        }
    }
    let end = Instant::now();
    while !judge.open.is_empty() {
        let Ok(length) = timeout(ANSWER_WITHIN, socket.recv(&mut datagram)).await else { break };
        judge.receive(&datagram[..length?], Instant::now());
    }
    Ok(judge.finish(end))
}

/// What was asked and what came back; pure.
struct Judge {
    expectations: Vec<Expectation>,
    /// When each was last answered right.
    last_right: Vec<Instant>,
    next: usize,
    /// By id: which expectation.
    open: HashMap<u16, usize>,
    outcome: Outcome,
}

impl Judge {
    fn new(expectations: Vec<Expectation>, now: Instant) -> Self {
        let last_right = vec![now; expectations.len()];
        Self { expectations, last_right, next: 0, open: HashMap::new(), outcome: Outcome::default() }
    }

    fn next_question(&mut self) -> Vec<u8> {
        let (id, index) = ((self.next & usize::from(u16::MAX)) as u16, self.next % self.expectations.len());
        self.next += 1;
        // Ids come round after minutes, when nobody waits for the old answer any more.
        self.outcome.unanswered += usize::from(self.open.insert(id, index).is_some());
        self.expectations[index].question.encode(id)
    }

    fn receive(&mut self, datagram: &[u8], now: Instant) {
        let answer = Answer::decode(datagram);
        let index = answer.as_ref().and_then(|answer| self.open.remove(&answer.id));
        match (answer, index) {
            (Some(answer), Some(_)) if answer.code == Code::ServerFailure => self.outcome.failures += 1,
            (Some(answer), Some(index)) if self.expectations[index].is_met(&answer) => {
                self.outcome.right += 1;
                self.without(index, now);
                self.last_right[index] = now;
            }
            (answer, index) => {
                self.outcome.wrong += 1;
                if self.outcome.wrong_answers.len() < SHOWN {
                    let question = index.map(|index| &self.expectations[index].question);
                    self.outcome.wrong_answers.push(format!("{question:?}: {answer:?}"));
                }
            }
        }
    }

    fn without(&mut self, index: usize, now: Instant) {
        let without = now.saturating_duration_since(self.last_right[index]);
        self.outcome.longest_without = self.outcome.longest_without.max(without);
    }

    fn finish(mut self, end: Instant) -> Outcome {
        for index in 0..self.expectations.len() {
            self.without(index, end);
        }
        self.outcome.unanswered += self.open.len();
        self.outcome
    }
}

impl Expectation {
    fn is_met(&self, answer: &Answer) -> bool {
        (answer.code, &answer.records) == (self.code, &self.records)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn nobody(name: &str) -> Expectation {
        let question = Question { name: name.to_owned(), kind: Kind::Address };
        Expectation { question, code: Code::NoSuchName, records: Vec::new() }
    }

    /// A question's datagram as an answer with that code.
    fn answered(mut datagram: Vec<u8>, code: u8) -> Vec<u8> {
        (datagram[2], datagram[3]) = (0x80, code);
        datagram
    }

    #[test]
    fn every_answer_is_judged() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut judge = Judge::new(vec![nobody("a."), nobody("b.")], start);
        let questions: Vec<_> = (0..6).map(|_| judge.next_question()).collect();
        let mut receive = |question: usize, code, millis| {
            judge.receive(&answered(questions[question].clone(), code), at(millis));
        };
        receive(0, 3, 1);
        receive(1, 3, 4);
        receive(2, 2, 5);
        receive(4, 3, 8);
        // No error, but nothing that was expected.
        receive(3, 0, 8);
        // An answer to what is answered already.
        receive(0, 3, 9);
        let outcome = judge.finish(at(10));
        let counts = (outcome.right, outcome.failures, outcome.unanswered, outcome.wrong);
        assert_eq!(counts, (3, 1, 1, 2), "{outcome:?}");
        assert_eq!(outcome.wrong_answers.len(), 2);
        assert_eq!(outcome.longest_without, Duration::from_millis(7));
    }
}
