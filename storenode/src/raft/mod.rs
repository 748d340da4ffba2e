//! Replication: what turns queued commands into committed, applied entries.
//!
//! ```text
//!            ┌───────────────────────── driver (the only loop) ─────────────────────────┐
//!  writes ──►│ inbox ─► proposals ─► core (raft, pure) ─► Log ─► log stage (fdatasync)   │
//!  barriers ►│             ▲           │  ▲                        │ Logged              │
//!            │             │           │  └────────────────────────┘                     │
//!  answers ◄─│─────────────┴── applier ◄─ Apply ─► state, watch hub, lessor              │
//!            └───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: the core does no I/O and has no clock; the driver performs the core's outputs in their order; a stage
//! runs inline or on a thread of its own behind the same interface.

pub(crate) mod barriers;
pub(crate) mod core;
pub(crate) mod inbox;
pub(crate) mod proposals;
mod window;
