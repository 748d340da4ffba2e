//! Random work, interrupted by power losses, kills and failed syncs, checked against a model.
//!
//! ```text
//!   steps   | durable ............ | appended since ... |
//!                                  └── the log must come back as the state after any of these ──┘
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{LogIndex, MemberId, Term};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::{Entry, HardState, Log, LogError, Options, Record, Start};
use super::{IDENTITY, entry};
use crate::files::PowerLoss;

const DIR: &str = "/data/log";
const SEEDS: u64 = 100;
const ROUNDS: u64 = 25;

/// What one record, or one entry of a run, does to the log.
#[derive(Clone)]
enum Step {
    Entry(Entry),
    HardState(HardState),
    Start(Start),
}

/// The log as it should be; never trimmed.
#[derive(Clone, Default)]
struct Model {
    boundary: u64,
    entries: BTreeMap<u64, Entry>,
    hard_state: HardState,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Entry(entry) => {
                self.entries.split_off(&entry.index.0);
                self.entries.insert(entry.index.0, entry.clone());
            }
            Step::HardState(hard_state) => self.hard_state = *hard_state,
            Step::Start(start) => {
                self.entries.clear();
                self.boundary = start.index.0;
            }
        }
    }

    fn last(&self) -> u64 {
        self.entries.last_key_value().map_or(self.boundary, |(index, _)| *index)
    }

    /// Whether the log is in this state, given that it was trimmed through `trimmed` at most.
    fn is(&self, log: &mut Log, trimmed: u64) -> Result<bool, LogError> {
        let (first, last) = (log.first_index(), log.last_index());
        if last.0 != self.last() || log.hard_state() != self.hard_state || first.0 <= self.boundary {
            return Ok(false);
        }
        if first.0 > self.boundary.max(trimmed) + 1 {
            return Ok(false);
        }
        let entries = log.entries(first, last.next(), usize::MAX)?;
        Ok(entries.iter().eq(self.entries.range(first.0..).map(|(_, entry)| entry)))
    }
}

/// One disk and the log on it.
struct Torture {
    files: PowerLoss,
    random: SmallRng,
    /// The state at the last moment it was known durable.
    durable: Model,
    steps: Vec<Step>,
    /// Entries through here are durable and never overwritten.
    commit: u64,
    term: u64,
    segment_bytes: u32,
    power_losses: u64,
}

impl Torture {
    fn new(seed: u64) -> Self {
        let (files, random) = (PowerLoss::new(seed), SmallRng::seed_from_u64(!seed));
        let durable = Model::default();
        // Groups are padded to pages: smaller segments are all padding, larger ones have old bytes behind it.
        let segment_bytes = if seed.is_multiple_of(2) { 1 << 10 } else { 16 << 10 };
        Self { files, random, durable, steps: Vec::new(), commit: 0, term: 1, segment_bytes, power_losses: 0 }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut log = self.open()?;
        for round in 0..ROUNDS {
            let operations = self.random.random_range(0..40);
            match self.random.random_range(0..8) {
                0 => self.files.fail_sync_after(Some(operations / 4)),
                1 => {}
                _ => self.files.cut_power_after(operations),
            }
            while self.random.random_range(0..100) > 0 && self.work(&mut log).is_ok() {}
            drop(log);
            self.files.fail_sync_after(None);
            if self.random.random_range(0..8) > 0 {
                self.lose_power();
            } else {
                self.files.kill();
            }
            log = self.open().map_err(|error| format!("round {round}: {error}"))?;
            self.compare(&mut log).map_err(|error| format!("round {round}: {error}"))?;
        }
        Ok(())
    }

    fn lose_power(&mut self) {
        self.files.power_loss();
        self.power_losses += 1;
    }

    /// Opens the log; now and then the power fails again while it recovers.
    fn open(&mut self) -> Result<Log, String> {
        let options = Options { identity: IDENTITY, segment_bytes: self.segment_bytes };
        loop {
            if self.random.random_bool(0.2) {
                self.files.cut_power_after(self.random.random_range(0..6));
            }
            match Log::open(Arc::new(self.files.clone()), Path::new(DIR), options) {
                Ok((log, _)) => return Ok(log),
                Err(LogError::File(_)) if self.random.random_bool(0.5) => self.files.kill(),
                Err(LogError::File(_)) => self.lose_power(),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Finds the state the log came back in; that one is durable now.
    fn compare(&mut self, log: &mut Log) -> Result<(), String> {
        let mut model = std::mem::take(&mut self.durable);
        let mut steps = std::mem::take(&mut self.steps).into_iter();
        loop {
            if model.is(log, self.commit).map_err(|error| error.to_string())? {
                self.durable = model;
                return Ok(());
            }
            match steps.next() {
                Some(step) => model.apply(&step),
                None => return Err(format!("{}..={} was never written", log.first_index(), log.last_index())),
            }
        }
    }

    /// The state with everything appended so far.
    fn current(&self) -> Model {
        let mut model = self.durable.clone();
        self.steps.iter().for_each(|step| model.apply(step));
        model
    }

    fn work(&mut self, log: &mut Log) -> Result<(), LogError> {
        match self.random.random_range(0..20) {
            0..8 => self.append_entries(log),
            8..10 => {
                let commit = LogIndex(self.commit);
                let hard_state = HardState { term: Term(self.term), vote: MemberId(1), commit };
                self.steps.push(Step::HardState(hard_state));
                log.append(&[Record::HardState(hard_state)])
            }
            10..15 => {
                log.sync()?;
                self.durable = self.current();
                self.steps.clear();
                let (low, high) = (self.commit.max(self.durable.boundary), self.durable.last());
                self.commit = self.random.random_range(low..=high);
                Ok(())
            }
            15..17 => log.flush(),
            17 => log.trim(LogIndex(self.commit)).map(|_| ()),
            18 => log.retry_reserve().map(|_| ()),
            _ if self.random.random_bool(0.1) => {
                let current = self.current();
                let low = self.commit.max(current.boundary) + 1;
                let index = LogIndex(self.random.random_range(low..=low.max(current.last()) + 3));
                let start = Start { index, term: Term(self.term), conf_state: Bytes::from_static(b"members") };
                self.steps.push(Step::Start(start.clone()));
                log.append(&[Record::Start(&start)])
            }
            _ => Ok(()),
        }
    }

    fn append_entries(&mut self, log: &mut Log) -> Result<(), LogError> {
        let current = self.current();
        let mut first = current.last() + 1;
        let overwritable = self.commit.max(current.boundary) + 1;
        if self.random.random_bool(0.1) {
            first = self.random.random_range(overwritable..=first);
            self.term += 1;
        }
        let count = self.random.random_range(1..6);
        let entries: Vec<Entry> = (first..first + count)
            .map(|index| {
                // Few sizes, so that records of different lives often begin at the same place.
                let size = self.random.random_range(0..5) * (self.segment_bytes as usize / 32);
                entry(index, self.term, vec![self.random.random(); size])
            })
            .collect();
        self.steps.extend(entries.iter().cloned().map(Step::Entry));
        log.append(&[Record::Entries(&entries)])
    }
}

#[test]
fn every_synced_record_survives_every_power_loss() {
    let mut power_losses = 0;
    for seed in 0..SEEDS {
        let mut torture = Torture::new(seed);
        torture.run().unwrap_or_else(|error| panic!("seed {seed}, {error}"));
        power_losses += torture.power_losses;
    }
    assert!(power_losses >= 2000, "only {power_losses} power losses");
}

#[test]
fn a_disk_that_ignores_syncs_is_found_out() {
    for seed in 0..20 {
        let mut torture = Torture::new(seed);
        torture.files.ignore_syncs(true);
        assert!(torture.run().is_err(), "seed {seed}: acknowledged records were lost, and nobody noticed");
    }
}
