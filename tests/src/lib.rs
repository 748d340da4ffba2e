//! What the suites in `tests/` share.

pub mod requirement;
pub mod simulation;
