//! Runs a sequence on both systems and compares.
//!
//! ```text
//!  unary operation      both answer, normalise, equal?
//!  watch creation       both say "created", equal?           events are compared when they have arrived:
//!  before a compaction,
//!  a cancellation, the  sentinel put ─► seen on every stream ─► both logs hold the same ─► forget them
//!  end, every 40 steps
//! ```

mod watches;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use proto::etcdserverpb::RangeRequest;
use tokio::sync::Notify;

use super::answer::{Answer, agree};
use super::fault::Fault;
use super::operation::{Operation, Stream};
use super::symbol::Position;
use super::system::System;
use crate::binary::Program;
use crate::deployment::Form;
use crate::process::StartFailure;

/// How long a system may take to say what the other one has already said.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same once it is known that something differs, and the shortest sequence is searched.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// Two systems that are asked the same.
pub struct Pair {
    left: System,
    right: System,
    position: Position,
    changed: Arc<Notify>,
    /// By stream and number of the creation: whether the watch had nothing to catch up with.
    current_from_birth: BTreeMap<Stream, Vec<bool>>,
    /// Watches of this pair's streams may still be catching up.
    catching_up: bool,
    patience: Duration,
}

/// The first operation whose answers differ.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Its place in the sequence.
    pub number: usize,
    /// What was asked, in the left system's numbers.
    pub asked: String,
    /// What the left system answered.
    pub left: String,
    /// What the right system answered.
    pub right: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, asked, left, right } = self;
        write!(formatter, "operation {number}: {asked}\n  left  (etcd): {left}\n  right       : {right}")
    }
}

/// What differs in one operation.
pub(crate) struct Difference {
    pub(crate) left: String,
    pub(crate) right: String,
}

impl Difference {
    fn new(left: impl fmt::Debug, right: impl fmt::Debug) -> Self {
        Self { left: format!("{left:?}"), right: format!("{right:?}") }
    }
}

impl Pair {
    /// Starts etcd and the product, both empty. A fault is planted into the right one.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(right: Form, fault: Option<Fault>) -> Result<Self, StartFailure> {
        let (left, right) = tokio::join!(System::start(Form::Alone(Program::Etcd), None), System::start(right, fault));
        Ok(Self {
            left: left?,
            right: right?,
            position: Position::default(),
            changed: Arc::default(),
            current_from_birth: BTreeMap::new(),
            catching_up: false,
            patience: PATIENCE,
        })
    }

    /// Waits less long for what may never come.
    pub const fn hurry(&mut self) {
        self.patience = IMPATIENCE;
    }

    /// Runs the sequence, and waits at its end for what watches still have to say.
    ///
    /// # Errors
    /// The first mismatch.
    pub async fn run(&mut self, operations: &[Operation]) -> Result<(), Mismatch> {
        for (number, operation) in operations.iter().enumerate() {
            self.step(operation).await.map_err(|difference| self.mismatch(number, operation, difference))?;
        }
        let end = Operation::Settle;
        self.step(&end).await.map_err(|difference| self.mismatch(operations.len(), &end, difference))
    }

    /// The sequence in the numbers of the left system, for a reader: each step at the revision where it stood, up to
    /// the first mismatch.
    pub async fn transcript(&mut self, operations: &[Operation]) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            let asked = self.left.resolve(operation, self.position);
            lines.push(format!("{number:4} at {}: {asked:?}", self.position.current));
            if self.step(operation).await.is_err() {
                break;
            }
        }
        lines
    }

    fn mismatch(&mut self, number: usize, operation: &Operation, difference: Difference) -> Mismatch {
        let asked = format!("{:?}", self.left.resolve(operation, self.position));
        let Difference { left, right } = difference;
        let [left, right] = [(left, &mut self.left), (right, &mut self.right)]
            .map(|(said, system)| system.server.ended().map_or(said.clone(), |ended| format!("{said}; {ended}")));
        Mismatch { number, asked, left, right }
    }

    async fn step(&mut self, operation: &Operation) -> Result<(), Difference> {
        match operation {
            Operation::Settle => self.settle().await,
            Operation::Watch(stream, _) => self.watch(*stream, operation).await,
            Operation::CancelWatch(stream, id) => self.cancel_watch(*stream, *id).await,
            Operation::Progress(stream) => self.progress(*stream).await,
            Operation::Compact(_) => {
                // A watch that has not caught up may be told of the compaction or not: etcd's timing decides.
                self.settle().await?;
                self.compare(operation).await
            }
            _ => self.compare(operation).await,
        }
    }

    async fn compare(&mut self, operation: &Operation) -> Result<(), Difference> {
        let (mut left, right) =
            tokio::join!(self.left.answer(operation, self.position), self.right.answer(operation, self.position));
        if !agree(&left, &right) {
            return Err(Difference::new(left, right));
        }
        if let (Operation::Compact(_), Answer::Compact(_)) = (operation, &left)
            && let Operation::Compact(asked) = self.left.resolve(operation, self.position)
        {
            self.position.compacted = asked.revision;
            // A serializable read of the next moment may otherwise come to a node that has not compacted yet.
            let linearizable = RangeRequest { key: "x".into(), ..RangeRequest::default() };
            let _ = self.right.client.kv.clone().range(linearizable).await;
        }
        if let Some(header) = left.header_mut() {
            self.position.current = header.revision;
        }
        Ok(())
    }
}
