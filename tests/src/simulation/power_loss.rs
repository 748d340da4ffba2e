//! One node under random work and random interruptions, compared with a model after each of them.
//!
//! ```text
//!   writes ──pass──► all answered, each as the model says            Ok
//!          ──pass──► some answered │ the others in flight            power cut, failed sync
//!                                  └─► after the restart the store is the model
//!                                      after some number of those in flight
//!   time   ──pass──► the leader ends leases by itself: in flight, too
//! ```

use std::sync::Arc;

use internal_proto::{Answer, Error, Freshness, MemberId, Operation, Request, Response, Revision, Store as _};
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng, SeedableRng};
use storenode::log::{Log, Options};
use storenode::state::StoreHash;
use storenode::{ApplyPlace, Delay, LogPlace, NoPeers, Tuning};

use super::cluster::LONG_LOGS;
use super::machine::{ELECTION, Machine, PendingWrite, TICK};
use super::model::Model;
use super::pending::Pending;
use super::replicas::equals_model;
use super::tally::{FilesSeen, Tally};
use super::workload::Workload;

/// Interruptions per seed.
const ROUNDS: usize = 12;
/// Writes in flight at once: together they fit into a segment.
const MAX_BATCH: usize = 8;
/// A compaction ends in the pass after its own, or one later if another was under way.
const MAX_COMPACTION_PASSES: u32 = 2;
/// Small, so that segments fill, checkpoints are written and the log is trimmed many times.
const TUNING: Tuning =
    Tuning { segment_bytes: 16 << 10, bytes_between_checkpoints: 12 << 10, election_ticks: Some(100), ..LONG_LOGS };

/// What ends a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// Between two passes.
    PowerLoss,
    /// In the middle of a pass.
    PowerCut,
    /// Between two passes, and nothing is lost.
    Kill,
    /// In the middle of a pass; then killed, or the power goes as well.
    FailedSync,
}

/// A compaction whose answer waits for the background work.
struct Awaited {
    answer: PendingWrite,
    revision: Revision,
    passes: u32,
}

/// One seed's run.
pub struct PowerLossRun {
    machine: Machine,
    model: Model,
    workload: Workload,
    random: SmallRng,
    awaited: Vec<Awaited>,
    stopped_by: String,
    /// How many passes the node still makes, if it has not done its work before.
    passes_left: Option<u32>,
    /// What may or may not have happened, in order.
    in_flight: Vec<Operation>,
    hashed: Option<(Revision, StoreHash)>,
    seen: FilesSeen,
    tally: Tally,
}

impl PowerLossRun {
    /// Nothing has run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let member = MemberId(1);
        // Every other seed has a log that is done some passes later, as on a thread of its own.
        let log = if seed % 2 == 1 { LogPlace::Deferred(Delay { seed, least: 0, most: 3 }) } else { TUNING.log };
        // Every third has entries that are away for some passes, as large ones are.
        let delay = Delay { seed: !seed, least: 0, most: 3 };
        let apply = if seed % 3 == 1 { ApplyPlace::Deferred(delay) } else { TUNING.apply };
        let machine = Machine::new(member, &[member], seed, Tuning { log, apply, ..TUNING }, Arc::new(NoPeers));
        Self {
            machine,
            model: Model::default(),
            workload: Workload::default(),
            random: SmallRng::seed_from_u64(!seed),
            awaited: Vec::new(),
            stopped_by: String::new(),
            passes_left: None,
            in_flight: Vec::new(),
            hashed: None,
            seen: FilesSeen::default(),
            tally: Tally::default(),
        }
    }

    /// Works, is interrupted, recovers, over and over.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run(mut self) -> Result<Tally, String> {
        self.start()?;
        for round in 0..ROUNDS {
            self.round().map_err(|error| format!("round {round}: {error}"))?;
        }
        Ok(self.tally)
    }

    fn round(&mut self) -> Result<(), String> {
        let interruption = match self.random.random_range(0..8) {
            0 => Interruption::PowerLoss,
            1 => Interruption::Kill,
            2 => Interruption::FailedSync,
            _ => Interruption::PowerCut,
        };
        for _ in 0..self.random.random_range(0..40) {
            self.work().map_err(|error| format!("in peace: {error}"))?;
        }
        self.interrupt(interruption)?;
        let in_flight = self.in_flight.len();
        self.start().map_err(|error| format!("after {interruption:?}, {in_flight} in flight: {error}"))
    }

    fn interrupt(&mut self, interruption: Interruption) -> Result<(), String> {
        match interruption {
            Interruption::PowerLoss => self.work_partly()?,
            Interruption::Kill => {
                self.work_partly()?;
                self.machine.kill();
                self.tally.kills += 1;
                return Ok(());
            }
            Interruption::PowerCut => {
                self.machine.disk.cut_power_after(self.random.random_range(0..30));
                self.work_until_stopped()?;
            }
            Interruption::FailedSync => {
                self.machine.disk.fail_sync_after(Some(self.random.random_range(0..20)));
                self.work_until_stopped()?;
                self.machine.disk.fail_sync_after(None);
                self.expect_stopped()?;
                self.tally.failed_syncs += 1;
                if self.random.random() {
                    self.machine.kill();
                    return Ok(());
                }
            }
        }
        self.lose_power();
        Ok(())
    }

    /// Starts the node and finds out what became of the writes in flight.
    fn start(&mut self) -> Result<(), String> {
        self.awaited.clear();
        self.tally.starts_from_checkpoint += u64::from(self.seen.has_checkpoint());
        self.boot()?;
        if !self.pass()? {
            return Err(format!("the node stopped: {}", self.stopped_by));
        }
        let now = self.machine.clock.elapsed();
        let reader = self.machine.node().ok_or("the node does not run")?.reader().clone();
        let mut in_flight = std::mem::take(&mut self.in_flight).into_iter();
        while let Err(error) = equals_model(&reader, &self.model) {
            let Some(operation) = in_flight.next() else { return Err(error) };
            drop(self.model.apply(&operation, now));
            self.tally.found_applied += 1;
        }
        self.tally.found_lost += in_flight.count() as u64;
        self.model.restart_deadlines(now);
        match self.hashed.filter(|(_, hash)| hash.compacted == self.model.compacted) {
            Some((at, hash)) if reader.hash(Some(at)) != Ok(hash) => {
                Err(format!("HashKV at {at} was {hash:?} and is {:?}", reader.hash(Some(at))))
            }
            _ => Ok(()),
        }
    }

    /// Starts the node; now and then the power goes again while it recovers.
    fn boot(&mut self) -> Result<(), String> {
        loop {
            let cut = self.random.random_bool(0.2);
            if cut {
                self.machine.disk.cut_power_after(self.random.random_range(0..12));
            }
            self.look_for_torn_tail();
            match self.machine.start() {
                Ok(()) => {
                    self.machine.disk.cut_power_after(u64::MAX);
                    return Ok(());
                }
                Err(error) if !(cut && error.contains("the power is off")) => return Err(error),
                Err(_) => {
                    self.lose_power();
                    self.tally.losses_in_recovery += 1;
                }
            }
        }
    }

    /// A node does not tell what its log cut off. Opening the log beforehand does, at times.
    fn look_for_torn_tail(&mut self) {
        let options = Options { identity: self.machine.identity(), segment_bytes: TUNING.segment_bytes };
        if self.random.random()
            && let Ok((_, recovered)) = Log::open(Arc::new(self.machine.disk.clone()), &self.machine.log_dir(), options)
        {
            self.tally.tails_cut += u64::from(recovered.cut.is_some());
        }
    }

    fn lose_power(&mut self) {
        self.machine.lose_power();
        self.tally.power_losses += 1;
    }

    /// Leaves what the log has not done yet in flight.
    fn work_partly(&mut self) -> Result<(), String> {
        self.passes_left = Some(self.random.random_range(0..6));
        self.work_or_stop()?;
        self.passes_left = None;
        Ok(())
    }

    fn work_until_stopped(&mut self) -> Result<(), String> {
        while self.work_or_stop()? {}
        Ok(())
    }

    /// A node whose log failed acknowledges nothing any more, even if somebody drove it on.
    fn expect_stopped(&mut self) -> Result<(), String> {
        if !self.stopped_by.contains(".segment") {
            return Ok(());
        }
        let put = Operation::Put(self.workload.put(&mut self.random, &self.model));
        let mut answers = self.machine.submit(std::slice::from_ref(&put));
        let passed = self.machine.pass();
        match answers[0].poll() {
            Some(Ok(_)) => Err("a write was acknowledged after a failed sync".to_owned()),
            _ if passed.is_ok() => Err("a node went on after a failed sync".to_owned()),
            _ => {
                self.in_flight.push(put);
                Ok(())
            }
        }
    }

    fn work(&mut self) -> Result<(), String> {
        if self.work_or_stop()? { Ok(()) } else { Err("the node stopped".to_owned()) }
    }

    /// One step; false if the node stopped in it.
    fn work_or_stop(&mut self) -> Result<bool, String> {
        match self.random.random_range(0..10) {
            0..6 => self.write(),
            6 => self.keep_alive().map(|()| true),
            7 => self.check().map(|()| true),
            _ => self.tick(),
        }
    }

    fn write(&mut self) -> Result<bool, String> {
        let count = self.random.random_range(1..=MAX_BATCH);
        let operations: Vec<_> = (0..count).map(|_| self.workload.operation(&mut self.random, &self.model)).collect();
        let alone = self.random.random_range(0..=count);
        let mut answers = self.machine.submit(&operations[..alone]);
        answers.extend(self.machine.submit(&operations[alone..]));
        let passed = self.pass()?;
        let answers: Vec<_> = answers.into_iter().map(|mut answer| (answer.poll(), answer)).collect();
        let answered = answers.iter().rposition(|(answer, _)| is_certain(answer)).map_or(0, |last| last + 1);
        let applied = if passed { count } else { answered };
        for (operation, (answer, pending)) in operations.iter().zip(answers).take(applied) {
            self.judge(operation, answer, pending)?;
        }
        self.in_flight.extend_from_slice(&operations[applied..]);
        Ok(passed)
    }

    /// Compares an answer with the only right one.
    fn judge(
        &mut self,
        operation: &Operation,
        answer: Option<Result<Answer, Error>>,
        pending: PendingWrite,
    ) -> Result<(), String> {
        let (right, revision) = self.model.apply(operation, self.machine.clock.elapsed());
        let Some(answer) = answer.filter(|answer| *answer != Err(Error::TimeoutConnectionLost)) else {
            let waits = matches!(operation, Operation::Compact(compact) if compact.physical) && right.is_ok();
            self.awaited.push(Awaited { answer: pending, revision, passes: 0 });
            return if waits { Ok(()) } else { Err(format!("{operation:?} was not answered")) };
        };
        let found = answer.map(|answer| (answer.response, answer.stamp.revision));
        self.tally.acknowledged += u64::from(found.is_ok());
        let right = right.map(|response| (response, revision));
        if found == right { Ok(()) } else { Err(format!("{operation:?} got {found:?}, not {right:?}")) }
    }

    /// Lets a multiple of the tick pass. What the leader then does by itself is known beforehand.
    fn tick(&mut self) -> Result<bool, String> {
        let long = self.random.random_bool(0.03);
        let ticks = if long { self.random.random_range(101..300) } else { self.random.random_range(1..80) };
        self.machine.clock.advance(TICK * ticks);
        let now = self.machine.clock.elapsed();
        if TICK * ticks > ELECTION {
            self.model.restart_deadlines(now);
        }
        let expired = self.model.expired(now);
        let passed = self.pass()?;
        if passed {
            self.tally.expired += expired.len() as u64;
            expired.iter().for_each(|revoke| drop(self.model.apply(revoke, now)));
            self.check()?;
        } else {
            self.in_flight.extend(expired);
        }
        Ok(passed)
    }

    /// Passes until everything is answered; false if the node stopped before, or has its last pass behind it.
    fn pass(&mut self) -> Result<bool, String> {
        loop {
            let passed = self.machine.pass();
            self.seen.look(&self.machine, &mut self.tally);
            if let Err(error) = passed {
                self.stopped_by = error;
                return Ok(false);
            }
            if self.machine.is_settled() {
                return self.collect_compactions().map(|()| true);
            }
            match self.passes_left.as_mut() {
                Some(0) => return Ok(false),
                Some(passes) => *passes -= 1,
                None => {}
            }
        }
    }

    fn collect_compactions(&mut self) -> Result<(), String> {
        for mut awaited in std::mem::take(&mut self.awaited) {
            match awaited.answer.poll() {
                Some(Ok(Answer { response: Response::Compact, stamp })) if stamp.revision == awaited.revision => {
                    self.tally.acknowledged += 1;
                }
                None if awaited.passes < MAX_COMPACTION_PASSES => {
                    self.awaited.push(Awaited { passes: awaited.passes + 1, ..awaited });
                }
                other => return Err(format!("a physical compaction got {other:?}")),
            }
        }
        Ok(())
    }

    fn keep_alive(&mut self) -> Result<(), String> {
        let Some(id) = self.model.leases.keys().copied().choose(&mut self.random) else { return Ok(()) };
        let node = self.machine.node().ok_or("the node stopped")?;
        let mut reply = Pending::new(node.query(Request::LeaseKeepAlive(id), Freshness::default()));
        let right = Response::LeaseKeepAlive { ttl: self.model.keep_alive(id, self.machine.clock.elapsed()) };
        match reply.poll() {
            Some(Ok(answer)) if answer.response == right => Ok(()),
            other => Err(format!("keeping lease {id} alive got {other:?}")),
        }
    }

    /// Between passes the node is the model, and compactions of earlier passes are answered.
    fn check(&mut self) -> Result<(), String> {
        let Some(node) = self.machine.node() else { return Ok(()) };
        equals_model(node.reader(), &self.model)?;
        let hash = node.reader().hash(None).map_err(|error| error.to_string())?;
        self.hashed = Some((self.model.revision, hash));
        Ok(())
    }
}

fn is_certain(answer: &Option<Result<Answer, Error>>) -> bool {
    !matches!(answer, None | Some(Err(Error::TimeoutConnectionLost)))
}
