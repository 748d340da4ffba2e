//! The layers between protocols and router, one a file. `stack.rs` puts them in order.

pub mod deadline;
pub mod telemetry;
