//! The etcd protocol from outside: real connections to a real port, over a store that is no more than a map.
#![allow(clippy::unwrap_used)]

mod grpc;
mod listener;
mod scripts;
mod server;
mod store;
