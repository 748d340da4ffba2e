//! The oracle: the same operations go to a real etcd and to the product, and every field of every answer has to
//! be equal.
//!
//! ```text
//!               ┌─ resolve ─► system "left"  (etcd)    ─┐
//!  seed ─► operations                                   ├─ normalise ─► equal? ── no ──► shrink ─► script
//!               └─ resolve ─► system "right" (product) ─┘
//! ```
//!
//! - [`operation`]: what is asked, with symbolic revisions and leases;
//! - [`generator`]: operations from a seed;
//! - [`symbol`]: symbols into the numbers of one system, and back;
//! - [`system`]: one server and its clients;
//! - [`watching`]: what its watch streams have said;
//! - [`answer`]: what it answers, and which differences are allowed;
//! - [`run`]: the comparison;
//! - [`shrink`]: the shortest sequence that still differs;
//! - [`fault`]: planted differences, which show that the comparison can fail;
//! - [`settled`]: when versions can be compared;
//! - [`crowd`]: many clients at once;
//! - [`json`]: the same through the JSON API.
//!
//! Allowed differences: ids of cluster, members and server-chosen leases, the raft term, remaining TTLs by one second,
//! and the grouping of catch-up batches of watches, which etcd's own timing decides.

pub mod answer;
pub mod crowd;
pub mod fault;
pub mod generator;
pub mod json;
pub mod operation;
pub mod run;
pub mod settled;
pub mod shrink;
pub mod symbol;
pub mod system;
pub mod watching;
