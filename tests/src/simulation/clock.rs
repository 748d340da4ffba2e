//! A clock that moves only when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One machine's clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    start: Instant,
    elapsed_nanos: Arc<AtomicU64>,
}

impl Default for SimulatedClock {
    /// A clock that has not moved yet. Only differences of its times mean anything.
    fn default() -> Self {
        Self { start: Instant::now(), elapsed_nanos: Arc::default() }
    }
}

impl SimulatedClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The time since the clock was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_nanos.load(Ordering::Relaxed))
    }

    /// The form in which a node reads it.
    #[must_use]
    pub fn reading(&self) -> Arc<dyn Fn() -> Instant + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.start + clock.elapsed())
    }
}
