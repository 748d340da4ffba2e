//! Watches as a storage node serves them: one feed per gateway and range, from the apply stage or from history.
//!
//! ```text
//!  apply ──publish──► Hub ──batch──► link ──► gateway        feeds that are caught up
//!                      ▲               ▲
//!  Recent, History ────┴──pages────────┘                     feeds that fell behind, and single pages
//! ```
//!
//! Invariants: publishing never waits for a gateway; every bound counts bytes but admits one whole revision; events of
//! a feed are never split over revisions, reordered, lost or repeated, through falling behind and catching up again.

mod core;
mod hub;
mod link;
mod recent;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod script;

pub use hub::{Counts, History, Hub};
