//! The replicated storage node.

pub mod config;
pub mod engine;
pub mod files;
pub mod log;
pub mod state;
pub mod watch;
