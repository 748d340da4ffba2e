//! The same load on a real etcd and on metastore, on this machine, side by side.
//!
//! ```text
//! for each workload          options ─► workload ─► rounds ─► summary ─► table, JSON
//!   for each round                                  │
//!     for each system        system, server: fresh processes with etcd's flags; their CPU and memory from /proc
//!                            load: etcd's own load tool; report: what it printed
//! ```
//!
//! Invariant: both systems are started with the same flags, on the same disk, and loaded by the same tool
//! in the same way; who goes first changes with every round, so a drift of the machine hits both.

mod guard;
mod load;
mod machine;
mod options;
mod report;
mod rounds;
mod server;
mod statistics;
mod system;
mod table;
mod workload;

/// Whatever stops a comparison is told to a person, who starts it again.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> std::process::ExitCode {
    match rounds::run(&options::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
