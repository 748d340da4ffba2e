//! The crate's rooms come to life one by one.

pub mod config;
