//! Whole storage nodes without threads, under a clock, disks and a network that one seed decides.
//!
//! ```text
//!   seed ─┬─► workload / clients ──submit, barrier, query──► Machine { Node, Passes } ──► PowerLoss disk
//!         ├─► faults ──cut power, fail syncs, partition──►       │      ▲ SimulatedClock
//!         └─► Network ◄──────────── messages ────────────────────┘
//!
//!   power_loss   one machine against a Model that knows every answer
//!   cluster      several machines; a History of what clients saw is judged by revision
//! ```
//!
//! Invariants: nothing here asks the real clock or an unseeded generator, so a failing seed fails again; a machine does
//! nothing between two passes.

pub mod client;
pub mod clock;
pub mod cluster;
pub mod cluster_faults;
pub mod full_disk;
pub mod history;
pub mod lease_holder;
pub mod machine;
pub mod model;
pub mod network;
pub mod pending;
pub mod power_loss;
pub mod repeater;
pub mod replicas;
pub mod seeds;
pub mod tally;
pub mod workload;
