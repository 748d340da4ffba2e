//! A client that keeps a lease alive for a while, then lets it end: no member may end it earlier.
//!
//! ```text
//!   grant ──► barrier ──► keep alive ──► pause ──► barrier ──► keep alive ──► ... ──► forgotten
//!     └──────────┴── from the start of the last one that succeeded the lease has its whole time
//! ```
//!
//! Invariant: a lease is looked for only where the barrier's index is applied, and only while the fastest clock that a
//! machine may have leaves it some time.

use std::ops::Range;
use std::time::Duration;

use internal_proto::{
    Answer, Barrier, Error, Freshness, LeaseGrantRequest, LeaseId, LogIndex, Operation, Request, Response, Store as _,
};
use rand::Rng;
use rand::rngs::SmallRng;

use super::cluster::{Cluster, FASTEST_CLOCK};
use super::machine::PendingWrite;
use super::pending::Pending;

/// Seconds that leases are granted: some end during an election, others survive several.
const TTL: Range<i64> = 2..8;
/// After so long the holder takes the outcome as unknown.
const PATIENCE: Duration = Duration::from_secs(2);
/// How probable it is at a time that the holder forgets its lease rather than keeping it alive once more.
const FORGETS: f64 = 0.1;

/// One client with one lease at a time.
pub struct LeaseHolder {
    /// Whom it takes for the leader.
    target: usize,
    /// The latest lease it asked for; the upper half parts its leases from those of others.
    latest: LeaseId,
    granted: u64,
    held: Option<Held>,
    under_way: Option<UnderWay>,
}

#[derive(Clone, Copy)]
struct Held {
    id: LeaseId,
    ttl: i64,
    /// Whoever has applied this must have the lease. `None`: that is not known yet.
    applied: Option<LogIndex>,
    /// Not to end before.
    until: Duration,
    /// When to keep it alive again.
    next: Duration,
}

struct UnderWay {
    start: Duration,
    stage: Stage,
}

enum Stage {
    Grant(LeaseId, PendingWrite),
    Barrier(Pending<Result<Barrier, Error>>),
    KeepAlive(LogIndex, Pending<Result<Answer, Error>>),
}

impl LeaseHolder {
    /// A holder without a lease. No other has the same number.
    #[must_use]
    pub const fn new(number: i64, target: usize) -> Self {
        Self { target, latest: LeaseId(number << 32), granted: 0, held: None, under_way: None }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// How many leases it was granted.
    #[must_use]
    pub const fn granted(&self) -> u64 {
        self.granted
    }

    /// Looks at what is under way; with nothing under way, starts something if it may.
    ///
    /// # Errors
    /// When a lease ended before its time.
    pub fn step(&mut self, cluster: &Cluster, random: &mut SmallRng, may_start: bool) -> Result<(), String> {
        match self.under_way.take() {
            Some(under_way) if cluster.now() > under_way.start + PATIENCE => self.give_up(cluster, random),
            Some(under_way) => self.look(under_way, cluster, random)?,
            None if may_start => self.start(cluster, random),
            None => {}
        }
        self.check(cluster)
    }

    fn start(&mut self, cluster: &Cluster, random: &mut SmallRng) {
        let Some(node) = cluster.node(self.target) else { return self.give_up(cluster, random) };
        let start = cluster.now();
        let stage = match self.held {
            None => {
                self.latest.0 += 1;
                let id = self.latest;
                let grant = Operation::LeaseGrant(LeaseGrantRequest { id, ttl: random.random_range(TTL) });
                let answer = cluster.machines[self.target].submit(&[grant]).pop();
                Stage::Grant(id, answer.expect("one answer for one write"))
            }
            Some(held) if held.next > start => return,
            Some(_) if random.random_bool(FORGETS) => return self.held = None,
            Some(_) => Stage::Barrier(Pending::new(node.barrier())),
        };
        self.under_way = Some(UnderWay { start, stage });
    }

    fn look(&mut self, mut under_way: UnderWay, cluster: &Cluster, random: &mut SmallRng) -> Result<(), String> {
        match &mut under_way.stage {
            Stage::Grant(id, answer) => match answer.poll() {
                None => self.under_way = Some(under_way),
                Some(Ok(Answer { response: Response::LeaseGrant(grant), .. })) => {
                    self.granted += 1;
                    let until = under_way.start + whole_time(grant.ttl);
                    self.held = Some(Held { id: *id, ttl: grant.ttl, applied: None, until, next: cluster.now() });
                }
                Some(Err(Error::NotLeader { hint: Some(leader) })) => self.target = cluster.index_of(leader),
                Some(_) => self.give_up(cluster, random),
            },
            Stage::Barrier(barrier) => match (barrier.poll(), self.held, cluster.node(self.target)) {
                (None, ..) => self.under_way = Some(under_way),
                (Some(Ok(barrier)), Some(held), Some(node)) => {
                    let freshness = Freshness { applied: barrier.index, ..Freshness::default() };
                    let answer = Pending::new(node.query(Request::LeaseKeepAlive(held.id), freshness));
                    self.under_way = Some(UnderWay { stage: Stage::KeepAlive(barrier.index, answer), ..under_way });
                }
                _ => self.give_up(cluster, random),
            },
            Stage::KeepAlive(index, answer) => match answer.poll() {
                None => self.under_way = Some(under_way),
                Some(Ok(Answer { response: Response::LeaseKeepAlive { ttl }, .. })) => {
                    let index = *index;
                    return self.kept_alive(ttl, index, under_way.start, cluster.now(), random);
                }
                Some(_) => self.give_up(cluster, random),
            },
        }
        Ok(())
    }

    fn kept_alive(
        &mut self,
        ttl: i64,
        applied: LogIndex,
        start: Duration,
        now: Duration,
        random: &mut SmallRng,
    ) -> Result<(), String> {
        let Some(held) = self.held.take() else { return Ok(()) };
        if ttl == 0 {
            let Held { id, until, .. } = held;
            return if now < until { Err(format!("lease {id} is gone at {now:?}, before {until:?}")) } else { Ok(()) };
        }
        let until = held.until.max(start + whole_time(ttl));
        let next = now + whole_time(ttl).mul_f64(random.random_range(0.0..0.8));
        self.held = Some(Held { applied: Some(applied), until, next, ..held });
        Ok(())
    }

    /// The outcome is unknown: perhaps somebody else leads. What was known of the lease still holds.
    fn give_up(&mut self, cluster: &Cluster, random: &mut SmallRng) {
        self.target = random.random_range(0..cluster.size());
    }

    /// Every member that must have the lease has it.
    fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        let Some(Held { id, ttl, applied: Some(applied), until, .. }) = self.held else { return Ok(()) };
        if cluster.now() >= until {
            // It may end at any time from here on, so nothing more can be said of it.
            self.held = None;
            return Ok(());
        }
        for index in 0..cluster.size() {
            let Some(reader) = cluster.node(index).map(storenode::Node::reader) else { continue };
            if reader.applied().0 >= applied && reader.leases().iter().all(|(other, _)| *other != id) {
                let now = cluster.now();
                let member = index + 1;
                return Err(format!("lease {id} of {ttl} s ended at member {member} by {now:?}, before {until:?}"));
            }
        }
        Ok(())
    }
}

/// How long a lease lasts at least outside of a machine whose clock is the fastest.
fn whole_time(ttl: i64) -> Duration {
    Duration::from_secs(ttl.unsigned_abs()).div_f64(FASTEST_CLOCK)
}
