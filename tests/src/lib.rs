//! The harness of the suites that look at the product from outside: processes, clients, the oracle, checkers.

pub mod binary;
pub mod client;
pub mod history;
pub mod http;
pub mod oracle;
pub mod process;
