//! The stateless gateway: terminates the protocols, and forwards to storage nodes.

pub mod call;
pub mod config;
pub mod router;
