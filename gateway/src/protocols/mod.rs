//! What clients speak, translated into calls and back.
//!
//! ```text
//!  listener ──HTTP──┬► etcd         gRPC, JSON, /version
//!                   └► operations   /health, /readyz, /livez, /metrics: on the client port, or one of their own
//! ```

mod coalesce;
mod eager;
pub mod etcd;
pub mod listener;
pub mod operations;
pub mod probes;
