//! What a node answers to gateways, whichever way they reach it.

mod leases;
mod query;
mod settle;

pub(crate) use query::Query;
pub(crate) use settle::Settle;
