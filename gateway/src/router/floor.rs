//! The highest revision that this gateway has put in any answer, so that no client of it sees time go back.

use std::sync::atomic::{AtomicI64, Ordering};

use internal_proto::Revision;

/// Only rises.
#[derive(Debug)]
pub struct Floor(AtomicI64);

impl Default for Floor {
    fn default() -> Self {
        Self(AtomicI64::new(Revision::EMPTY_STORE.0))
    }
}

impl Floor {
    /// The highest revision shown.
    pub fn get(&self) -> Revision {
        Revision(self.0.load(Ordering::Acquire))
    }

    /// Notes a revision that is about to be shown.
    pub fn raise(&self, revision: Revision) {
        if revision.0 > self.0.load(Ordering::Relaxed) {
            self.0.fetch_max(revision.0, Ordering::AcqRel);
        }
    }
}
