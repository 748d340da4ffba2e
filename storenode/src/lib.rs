//! The replicated storage node.

mod background;
pub mod config;
pub mod engine;
pub mod files;
pub mod identity;
mod leader;
pub mod log;
mod metrics;
mod node;
mod raft;
mod rpc;
pub mod state;
mod storage;
pub mod verify;
pub mod watch;

pub use node::{Node, Passes, StartError, Surroundings, Tuning};
pub use raft::apply_stage::ApplyPlace;
pub use raft::log_stage::{Delay, LogPlace};
pub use raft::snapshot::SnapshotPace;
pub use raft::transport::{Introduction, NoPeers, PeerMessage, Peers, Recipient, Transport};
pub use rpc::admission::Admission;
pub use rpc::{admin, peer, server, service};
