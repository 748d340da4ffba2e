//! What a node answers to gateways and peers, whichever way they reach it.

pub mod admin;
pub(crate) mod admission;
mod calls;
mod leases;
mod outbox;
pub mod peer;
mod query;
pub mod server;
pub mod service;
mod settle;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub(crate) use query::Query;
pub(crate) use settle::Settle;
