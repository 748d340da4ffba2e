//! Faults planted in the product, so that the suites can show that they would find such a defect.
//!
//! ```text
//!   the product      if Fault::StaleRead.is_planted() { .. }     always false, and compiled away
//!   planted-faults   Fault::StaleRead.planted_in(|| suite(seed))  true on this thread, until it returns
//! ```
//!
//! Invariants: the feature `planted-faults` is a test's alone; no program is ever built with it. A fault is one
//! thread's, so that suites which run a whole node or cluster on one thread can look for several at the same time.

/// A defect that a suite must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Acknowledgements and votes leave before what they promise is on the disk.
    AckBeforeSync,
    /// The log's sync makes nothing durable.
    SyncWithoutEffect,
    /// A leader takes its leadership for confirmed, without a round.
    StaleRead,
    /// A watcher whose history is compacted away goes on behind the gap, and nobody is told.
    EventLostAtCompaction,
    /// The events of one revision leave as several.
    SplitRevision,
    /// A checkpoint holds one entry more than it says, which a start applies again.
    DoubleApply,
    /// A new leader gives the leases it takes over no time of their own.
    EarlyExpiry,
    /// A member does not remember after a start for whom it voted.
    ForgottenVote,
    /// Progress overtakes the events it covers.
    EarlyProgress,
    /// A session does not know its own writes again: one that is repeated is applied again.
    ForgottenSession,
    /// The content of a checkpoint or snapshot lacks its last version.
    SnapshotLacksVersion,
    /// A leader takes for committed what it alone has made durable.
    CommitWithoutQuorum,
}

#[cfg(not(feature = "planted-faults"))]
impl Fault {
    /// Whether the product is to do it wrong here: never.
    #[must_use]
    #[inline(always)]
    pub const fn is_planted(self) -> bool {
        false
    }
}

#[cfg(feature = "planted-faults")]
mod planted {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Takes the fault out again, also when the work panics.
    struct Planted;

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    impl Fault {
        /// Whether the product is to do it wrong here: on this thread, during [`Fault::planted_in`].
        #[must_use]
        pub fn is_planted(self) -> bool {
            PLANTED.get() == Some(self)
        }

        /// Runs `work` on this thread with the fault in the product.
        pub fn planted_in<T>(self, work: impl FnOnce() -> T) -> T {
            PLANTED.set(Some(self));
            let _planted = Planted;
            work()
        }
    }
}
