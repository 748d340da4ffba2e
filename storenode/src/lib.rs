//! The replicated storage node.

pub mod config;
pub mod engine;
mod leader;
mod raft;
pub mod state;
