//! What a node answers to gateways, whichever way they reach it.

mod calls;
mod leases;
mod outbox;
mod query;
mod service;
mod settle;

pub(crate) use query::Query;
pub use service::{Service, service};
pub(crate) use settle::Settle;
