//! Replication: what turns queued commands into committed, applied entries.
//!
//! ```text
//!            ┌───────────────────────── driver (the only loop) ─────────────────────────┐
//!  writes ──►│ inbox ─► proposals ─► core (raft, pure) ─► Log ─► log stage (fdatasync)   │
//!  barriers ►│             ▲           │  ▲                        │ Logged              │
//!            │             │           │  └────────────────────────┘                     │
//!  answers ◄─│─────────────┴── applier ◄─ Apply ─► apply stage: state, lessor, watch hub │
//!            └───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: the core does no I/O and has no clock; the driver performs the core's outputs in their order; a stage
//! runs inline or on a thread of its own behind the same interface.

mod applier;
pub(crate) mod apply_stage;
pub(crate) mod barriers;
pub(crate) mod core;
pub(crate) mod driver;
mod failover;
pub(crate) mod fatal;
pub(crate) mod forward;
mod hand_over;
pub(crate) mod inbox;
pub(crate) mod log_stage;
pub(crate) mod member;
pub(crate) mod membership;
mod proposals;
mod propose;
pub(crate) mod recovery;
mod restore;
#[cfg(test)]
mod script;
pub(crate) mod shared;
pub(crate) mod snapshot;
mod succession;
pub(crate) mod transport;
mod unapplied;
mod window;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::background::Background;
use crate::leader::lease_expiry::Lessor;
use crate::metrics::Metrics;
use crate::watch::Hub;
use applier::Applier;
use apply_stage::{ApplyPlace, ApplyStage, ApplyWork};
use barriers::Barriers;
use core::Role;
use driver::Driver;
use inbox::Inbox;
use log_stage::{LogPlace, LogStage, LogWork};
use member::{Clock, Member, Pace};
use shared::Shared;
use snapshot::Snapshots;
use transport::Transport;

/// What a driver is put together from.
pub(crate) struct Parts {
    pub(crate) started: recovery::Started,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lessor: Arc<Mutex<Lessor>>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) background: Background,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pace: Pace,
    pub(crate) clock: Clock,
    pub(crate) log_place: LogPlace,
    pub(crate) apply_place: ApplyPlace,
    pub(crate) snapshots: Snapshots,
}

impl Parts {
    /// Puts the driver together without starting it.
    pub(crate) fn assemble(self) -> Driver {
        let recovery::Started { log, state, core, .. } = self.started;
        let (pace, shared) = (self.pace, self.shared);
        let work = LogWork::new(log, Arc::clone(&self.clock));
        let log = LogStage::new(work, self.log_place, Arc::clone(&self.inbox));
        let reader = state.reader();
        let (lessor, clock) = (Arc::clone(&self.lessor), Arc::clone(&self.clock));
        let work = ApplyWork::new(shared.member(), state, self.hub, lessor, clock);
        let stage = ApplyStage::new(work, self.apply_place, Arc::clone(&self.inbox));
        let member = Member {
            core,
            log,
            applier: Applier::new(stage, reader, self.lessor, Arc::clone(&shared), pace.election),
            shared,
            background: self.background,
            transport: self.transport,
            metrics: self.metrics,
            pace,
            barriers: Barriers::default(),
            role: Role::default(),
            unapplied: Default::default(),
            waiting: VecDeque::new(),
            pass_ends: (self.clock)(),
            failover: failover::Failover::default(),
            hand_over: hand_over::HandOver::default(),
            snapshots: self.snapshots,
            clock: self.clock,
        };
        Driver::new(member, self.inbox)
    }
}

/// Runs the driver on a thread of its own. Whatever ends it unasked is told through `shared`.
///
/// # Errors
/// When the system has no room for a thread.
pub(crate) fn run(driver: Driver, shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let work = move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| driver.run()));
        let reason = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(fatal)) => fatal.to_string(),
            Err(_) => "the node's thread panicked; the log above says where".to_owned(),
        };
        tracing::error!(%reason, "the node stops");
        shared.set_failed(reason);
    };
    std::thread::Builder::new().name("raft".to_owned()).spawn(work)
}
