//! How long to leave a node alone that could not be reached.

use std::time::Duration;

/// After the first failure: short beside an election.
const FIRST: Duration = Duration::from_millis(20);
/// A node that is back is noticed within this.
const LONGEST: Duration = Duration::from_millis(500);

/// Doubles from failure to failure.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait, drawn around its nominal length so that gateways do not come all at once.
    pub(super) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        now.mul_f64(rand::random_range(0.5..1.0))
    }

    /// The node was reached.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
