//! What the suites in `tests/` share: processes, clients, the oracle, histories, requirements.

pub mod binary;
pub mod client;
pub mod cluster;
pub mod command;
pub mod compose;
pub mod coredns;
pub mod deployment;
pub mod dns;
pub mod history;
pub mod http;
pub mod keep_alive;
pub mod memory_group;
pub mod network;
pub mod oracle;
mod ports;
pub mod process;
pub mod raw;
pub mod replicas;
pub mod requirement;
pub mod simulation;
pub mod small_disk;
pub mod split;
pub mod threads;
pub mod traffic;
pub mod wall_clock;
pub mod watch_stress;
