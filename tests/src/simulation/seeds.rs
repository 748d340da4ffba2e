//! Which seeds a suite runs, and what is said about one that fails.
//!
//! ```text
//!   METASTORE_SEED=17       that seed alone
//!   METASTORE_TEST_ALL=1    as many as the long run takes
//!   otherwise               as many as every day takes
//! ```

use std::env;
use std::ops::Range;

use crate::requirement::is_long_run;

/// How many seeds a suite runs.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// In `make test`.
    pub everyday: u64,
    /// In `make test-all`.
    pub long: u64,
}

impl Seeds {
    /// Runs every seed in turn and adds up what `run` returns.
    ///
    /// # Panics
    /// At the first seed that fails, with how to repeat it.
    pub fn run<T: Default>(self, run: impl Fn(u64) -> Result<T, String>, add: impl Fn(&mut T, T)) -> T {
        let mut total = T::default();
        for seed in self.range() {
            match run(seed) {
                Ok(part) => add(&mut total, part),
                Err(error) => panic!("seed {seed}: {error}\nrepeat it with METASTORE_SEED={seed}"),
            }
        }
        total
    }

    /// Whether one seed was asked for by name: totals over many then mean nothing.
    #[must_use]
    pub fn is_single() -> bool {
        env::var_os("METASTORE_SEED").is_some()
    }

    /// The seeds to run.
    ///
    /// # Panics
    /// When the one seed asked for is no number.
    #[must_use]
    pub fn range(self) -> Range<u64> {
        let chosen = env::var("METASTORE_SEED").ok();
        match chosen.map(|seed| seed.parse::<u64>().expect("METASTORE_SEED is a number")) {
            Some(seed) => seed..seed + 1,
            None if is_long_run() => 0..self.long,
            None => 0..self.everyday,
        }
    }
}
