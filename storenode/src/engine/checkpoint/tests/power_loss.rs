//! Random work and checkpoints, interrupted by power losses and failed syncs at any moment.
//!
//! ```text
//!   checkpoints   | the last that was reported written | attempted since ... |
//!                 └── the store must come back as one of these, and as no other ──┘
//! ```

use std::path::Path;

use internal_proto::{LeaseId, Revision};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::CheckpointError;
use super::IDENTITY;
use super::store::Store;
use crate::engine::SmallKey;
use crate::files::{Files, PowerLoss};

const DIR: &str = "/data/checkpoint";
const SEEDS: u64 = 400;
const ROUNDS: u64 = 8;

struct Torture {
    files: PowerLoss,
    random: SmallRng,
    store: Store,
    /// What the store may come back as.
    possible: Vec<String>,
    power_losses: u64,
    /// How often an attempt that was not reported written came back, and how often it did not.
    survived: [u64; 2],
}

impl Torture {
    fn new(seed: u64) -> Self {
        let store = Store::new();
        let possible = vec![store.dump()];
        let (files, random) = (PowerLoss::new(seed), SmallRng::seed_from_u64(!seed));
        Self { files, random, store, possible, power_losses: 0, survived: [0; 2] }
    }

    fn run(&mut self) -> Result<(), String> {
        for round in 0..ROUNDS {
            self.change();
            if self.random.random_bool(0.8) {
                self.files.cut_power_after(self.random.random_range(0..24));
            }
            let attempted = self.store.dump();
            match self.store.write(&self.files, Path::new(DIR), IDENTITY) {
                Ok(_) => self.possible = vec![attempted],
                Err(CheckpointError::File(_)) => self.possible.push(attempted),
                Err(error) => return Err(format!("round {round}: {error}")),
            }
            if self.random.random_bool(0.8) {
                self.lose_power();
            }
            self.restart().map_err(|error| format!("round {round}: {error}"))?;
        }
        Ok(())
    }

    fn change(&mut self) {
        for _ in 0..self.random.random_range(1..8) {
            let key = ["a", "b", "c", "d"][self.random.random_range(0..4)];
            let value = vec![b'v'; self.random.random_range(0..200)];
            let position = self.store.position();
            match self.random.random_range(0..8) {
                0 => self.store.set(SmallKey::Lease(LeaseId(self.random.random_range(1..4))), "lease"),
                1 if position.revision > position.compacted => {
                    let floor = position.compacted.0.max(0);
                    self.store.compact(Revision(self.random.random_range(floor..=position.revision.0)));
                }
                2 => self.store.change(&[(key, None)], LeaseId(0)),
                _ => self.store.change(&[(key, Some(&value))], LeaseId(self.random.random_range(0..3))),
            }
        }
    }

    fn lose_power(&mut self) {
        self.files.power_loss();
        self.power_losses += 1;
    }

    /// Loads the checkpoint; now and then the power fails again meanwhile.
    fn restart(&mut self) -> Result<(), String> {
        loop {
            if self.random.random_bool(0.2) {
                self.files.cut_power_after(self.random.random_range(0..3));
            }
            match Store::load(&self.files, Path::new(DIR), IDENTITY) {
                Ok((store, _)) => {
                    self.store = store;
                    break;
                }
                Err(CheckpointError::File(_)) => self.lose_power(),
                Err(error) => return Err(error.to_string()),
            }
        }
        let found = self.store.dump();
        let Some(at) = self.possible.iter().position(|possible| *possible == found) else {
            return Err(format!("the store came back as\n{found}instead of one of\n{}", self.possible.join("or\n")));
        };
        if self.possible.len() > 1 {
            self.survived[usize::from(at > 0)] += 1;
        }
        self.possible = vec![found];
        let names = self.files.list(Path::new(DIR)).map_err(|error| error.to_string())?;
        if names.len() > 1 { Err(format!("a start leaves {names:?}")) } else { Ok(()) }
    }
}

#[test]
fn a_power_loss_at_any_moment_leaves_the_old_checkpoint_or_the_new_one() {
    let (mut power_losses, mut survived) = (0, [0; 2]);
    for seed in 0..SEEDS {
        let mut torture = Torture::new(seed);
        torture.run().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        power_losses += torture.power_losses;
        survived = [survived[0] + torture.survived[0], survived[1] + torture.survived[1]];
    }
    assert!(power_losses > 5 * SEEDS, "{power_losses} power losses");
    assert!(survived.iter().all(|times| *times > 50), "old and new: {survived:?}");
}

#[test]
fn syncs_that_do_nothing_are_found() {
    let seeds = SEEDS / 8;
    let found = (0..seeds).filter(|&seed| {
        let mut torture = Torture::new(seed);
        torture.files.ignore_syncs(true);
        torture.run().is_err()
    });
    assert!(found.count() as u64 > seeds / 2);
}

#[test]
fn a_checkpoint_renamed_before_a_kill_is_durable_before_the_older_one_goes() {
    let dir = Path::new(DIR);
    for (seed, operations) in (0..50).flat_map(|seed| (0..4).map(move |operations| (seed, operations))) {
        let files = PowerLoss::new(seed);
        let store = Store::new();
        store.set(SmallKey::ConfState, "voters");
        store.write(&files, dir, IDENTITY).unwrap();
        store.set(SmallKey::ConfState, "learners");
        let elsewhere = PowerLoss::new(seed);
        store.write(&elsewhere, dir, IDENTITY).unwrap();
        let (from, to) = (dir.join("0000000000000002.writing"), dir.join("0000000000000002.checkpoint"));
        let file = files.create(&from).unwrap();
        file.write_at(&elsewhere.read(&to).unwrap(), 0).unwrap();
        file.sync_data().unwrap();
        files.sync_dir(dir).unwrap();
        files.rename(&from, &to).unwrap();

        files.cut_power_after(operations);
        let first = Store::load(&files, dir, IDENTITY);
        files.power_loss();
        let (_, second) = Store::load(&files, dir, IDENTITY).unwrap();
        let second = second.expect("one of the two is there").index.0;
        assert!(second == 2 || first.is_err() && second == 1, "seed {seed}, {operations} operations: {second}");
    }
}
