//! One client of a cluster: one operation at a time, at the leader as far as it knows one.
//!
//! ```text
//!   write    submit ──────────────► answer          NotLeader: refused, next time at the hint
//!   read     barrier at the leader ──► query at any member, once it has applied the barrier's index
//!   session  query at any member, once it has the revision this client saw last
//! ```

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use internal_proto::{
    Answer, Barrier, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, Error, Freshness, KeyRange, LeaseId,
    Operation, PutLease, PutRequest, PutValue, RangeRequest, Request, Response, Revision, Store as _, TxnOperation,
    TxnOperationResponse, TxnRequest,
};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom as _;
use storenode::Node;

use super::cluster::Cluster;
use super::history::{Action, History, Outcome};
use super::machine::PendingWrite;
use super::pending::Pending;

/// Few, so that clients meet.
pub(super) const KEYS: u32 = 5;
/// How probable it is that a client takes somebody else for the leader.
const OUTDATED: f64 = 0.2;
/// After so many milliseconds a client takes the outcome as unknown.
const PATIENCE: Range<u64> = 300..2_500;

/// One client.
pub struct Client {
    /// Whom it takes for the leader.
    target: usize,
    under_way: Option<UnderWay>,
    /// When it last knew a key to be written, for swaps.
    known: (Bytes, Revision),
}

struct UnderWay {
    number: usize,
    action: Action,
    until: Duration,
    stage: Stage,
}

enum Stage {
    Write(PendingWrite),
    Barrier(Pending<Result<Barrier, Error>>),
    Query(Pending<Result<Answer, Error>>),
}

enum Progress {
    Waiting,
    Finished(Outcome),
}

impl Client {
    /// A client that asks this member first.
    #[must_use]
    pub fn new(target: usize) -> Self {
        Self { target, under_way: None, known: (numbered(0), Revision(0)) }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Looks at what is under way; with nothing under way, starts something if it may.
    pub fn step(&mut self, cluster: &Cluster, random: &mut SmallRng, history: &mut History, may_start: bool) {
        let Some(mut under_way) = self.under_way.take() else {
            if may_start {
                self.start(cluster, random, history);
            }
            return;
        };
        let progress = self.look(&mut under_way, cluster, random);
        match progress {
            Progress::Waiting if cluster.now() < under_way.until => self.under_way = Some(under_way),
            // A gateway beside a node that stands still may well stay with it.
            Progress::Waiting if random.random() => {}
            Progress::Waiting => self.target = random.random_range(0..cluster.size()),
            Progress::Finished(outcome) => {
                self.learn(&under_way.action, &outcome);
                history.finish(under_way.number, outcome);
            }
        }
    }

    fn start(&mut self, cluster: &Cluster, random: &mut SmallRng, history: &mut History) {
        if random.random_bool(OUTDATED) {
            self.target = random.random_range(0..cluster.size());
        }
        let Some(node) = cluster.node(self.target) else {
            self.target = random.random_range(0..cluster.size());
            return;
        };
        let action = self.choose(random, history.started());
        let stage = match operation(&action) {
            Some(operation) => {
                let answer = cluster.machines[self.target].submit(&[operation]).pop();
                Stage::Write(answer.expect("one answer for one write"))
            }
            None if random.random_bool(0.8) => Stage::Barrier(Pending::new(node.barrier())),
            None => {
                let freshness = Freshness { revision: history.floor(), ..Freshness::default() };
                match any_running(cluster, random).and_then(|node| query(node, &action, freshness)) {
                    Some(answer) => Stage::Query(answer),
                    None => return,
                }
            }
        };
        let number = history.start(action.clone());
        let until = cluster.now() + Duration::from_millis(random.random_range(PATIENCE));
        self.under_way = Some(UnderWay { number, action, until, stage });
    }

    fn choose(&self, random: &mut SmallRng, number: usize) -> Action {
        let key = numbered(random.random_range(0..KEYS));
        let value = Bytes::from(format!("value {number}"));
        match random.random_range(0..10) {
            0..3 => Action::Put { key, value },
            3..5 => {
                let (key, expected) = self.known.clone();
                let other = (0..KEYS).map(numbered).filter(|other| *other != key).choose(random);
                Action::Swap { key, other: other.expect("there are several keys"), expected, value }
            }
            5 => Action::Delete { key },
            _ => Action::Get { key },
        }
    }

    fn look(&mut self, under_way: &mut UnderWay, cluster: &Cluster, random: &mut SmallRng) -> Progress {
        match &mut under_way.stage {
            Stage::Write(answer) => match answer.poll() {
                None => Progress::Waiting,
                Some(Ok(answer)) => Progress::Finished(written(answer.response)),
                Some(Err(error)) => self.failed(error, cluster, random),
            },
            Stage::Barrier(barrier) => match barrier.poll() {
                None => Progress::Waiting,
                Some(Ok(barrier)) => {
                    let freshness = Freshness { applied: barrier.index, ..Freshness::default() };
                    // A gateway has both from the same node where it can, or each from another.
                    let same = cluster.node(self.target).filter(|_| random.random_bool(0.7));
                    let node = same.or_else(|| any_running(cluster, random));
                    if let Some(answer) = node.and_then(|node| query(node, &under_way.action, freshness)) {
                        under_way.stage = Stage::Query(answer);
                        return self.look(under_way, cluster, random);
                    }
                    Progress::Finished(Outcome::Refused)
                }
                Some(Err(error)) => self.failed(error, cluster, random),
            },
            Stage::Query(answer) => match answer.poll() {
                None => Progress::Waiting,
                Some(Ok(Answer { response: Response::Range(range), .. })) => {
                    Progress::Finished(Outcome::Saw(range.revision, range.kvs.into_iter().next()))
                }
                Some(_) => Progress::Finished(Outcome::Refused),
            },
        }
    }

    /// What an error says of a write: refused before it was proposed, or nobody knows.
    fn failed(&mut self, error: Error, cluster: &Cluster, random: &mut SmallRng) -> Progress {
        self.target = match error {
            Error::NotLeader { hint: Some(leader) } => cluster.index_of(leader),
            _ => random.random_range(0..cluster.size()),
        };
        let refused = matches!(error, Error::NotLeader { .. } | Error::NoLeader | Error::TooManyRequests);
        Progress::Finished(if refused { Outcome::Refused } else { Outcome::Unknown })
    }

    fn learn(&mut self, action: &Action, outcome: &Outcome) {
        match (action, outcome) {
            (Action::Put { key, .. } | Action::Swap { key, .. }, Outcome::Wrote(revision)) => {
                self.known = (key.clone(), *revision);
            }
            (Action::Get { key } | Action::Swap { key, .. } | Action::Delete { key }, Outcome::Saw(_, kv)) => {
                let revision = kv.as_ref().map_or(Revision(0), internal_proto::KeyValue::mod_revision);
                self.known = (key.clone(), revision);
            }
            _ => {}
        }
    }
}

pub(super) fn numbered(number: u32) -> Bytes {
    Bytes::from(format!("key {number}"))
}

/// The write an action is; `None` for a read.
pub(super) fn operation(action: &Action) -> Option<Operation> {
    let put = |key: &Bytes, value: &Bytes| PutRequest {
        key: key.clone(),
        value: PutValue::Set(value.clone()),
        lease: PutLease::Set(LeaseId(0)),
        prev_kv: false,
    };
    Some(match action {
        Action::Put { key, value } => Operation::Put(put(key, value)),
        Action::Swap { key, other, expected, value } => {
            let (operator, target) = (CompareOperator::Equal, CompareTarget::Mod(*expected));
            let range = RangeRequest { range: KeyRange::single(key.clone()), ..RangeRequest::default() };
            Operation::Txn(TxnRequest {
                compare: vec![Compare { range: KeyRange::single(key.clone()), operator, target }],
                success: vec![TxnOperation::Put(put(key, value)), TxnOperation::Put(put(other, value))],
                failure: vec![TxnOperation::Range(range)],
            })
        }
        Action::Delete { key } => {
            Operation::DeleteRange(DeleteRangeRequest { range: KeyRange::single(key.clone()), prev_kv: false })
        }
        Action::Get { .. } => return None,
    })
}

fn any_running<'a>(cluster: &'a Cluster, random: &mut SmallRng) -> Option<&'a Node> {
    (0..cluster.size()).filter_map(|index| cluster.node(index)).choose(random)
}

/// Asks a member for what an action reads; `None` for a write.
fn query(node: &Node, action: &Action, freshness: Freshness) -> Option<Pending<Result<Answer, Error>>> {
    let Action::Get { key } = action else { return None };
    let request = RangeRequest { range: KeyRange::single(key.clone()), ..RangeRequest::default() };
    Some(Pending::new(node.query(Request::Range(request), freshness)))
}

pub(super) fn written(response: Response) -> Outcome {
    match response {
        Response::Put(put) => Outcome::Wrote(put.revision),
        Response::DeleteRange(deleted) if deleted.deleted == 0 => Outcome::Saw(deleted.revision, None),
        Response::DeleteRange(deleted) => Outcome::Wrote(deleted.revision),
        Response::Txn(txn) if txn.succeeded => Outcome::Wrote(txn.revision),
        Response::Txn(mut txn) => match txn.responses.pop() {
            Some(TxnOperationResponse::Range(range)) => Outcome::Saw(txn.revision, range.kvs.into_iter().next()),
            other => unreachable!("the failure branch reads, it does not answer {other:?}"),
        },
        other => unreachable!("no client asks for {other:?}"),
    }
}
