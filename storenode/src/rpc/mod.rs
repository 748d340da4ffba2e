//! What a node answers to gateways, whichever way they reach it.

mod calls;
mod leases;
mod outbox;
mod query;
mod service;
mod settle;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub(crate) use query::Query;
pub use service::{Service, service};
pub(crate) use settle::Settle;
