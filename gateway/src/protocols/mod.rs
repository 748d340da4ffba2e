//! What clients speak, translated into calls and back.
//!
//! ```text
//!  listener ──HTTP──► etcd   gRPC, JSON, /health, /version, /metrics
//! ```

pub mod etcd;
pub mod listener;
