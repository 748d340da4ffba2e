//! The replicated storage node.

pub mod files;
pub mod log;
