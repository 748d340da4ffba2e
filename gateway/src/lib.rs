//! The stateless gateway: terminates the protocols, and forwards to storage nodes.

pub mod call;
pub mod config;
pub mod middleware;
pub mod protocols;
pub mod router;
pub mod stack;
pub mod watch;
