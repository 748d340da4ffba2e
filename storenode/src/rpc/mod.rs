//! What a node answers to gateways and peers, whichever way they reach it.

pub(crate) mod admission;
mod leases;
pub mod peer;
mod query;
pub mod server;
mod settle;

pub(crate) use query::Query;
pub(crate) use settle::Settle;
