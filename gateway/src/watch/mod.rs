//! Watches as clients see them: any number of client streams over few feeds from a node.
//!
//! ```text
//!  node ──WatchBatch──► upstream ──► feeds: one ring of recent events each ──► streams: a cursor per watch ──► clients
//!                          ▲                                                     │
//!                          └──────────── Now, Read (history below a ring) ◄──────┘
//! ```
//!
//! A client that does not read costs its cursors: nothing is copied for it, nobody waits for it. When it reads again,
//! it finds its events in the ring, in the node's history, or learns that they are compacted.
//!
//! Invariants: a watch gets every event of its range from its start on once, whole revisions in order, over any number
//! of links to nodes; progress never runs ahead of events.

mod apply;
mod cursor;
mod events;
mod exchange;
mod feeds;
mod hub;
mod metrics;
mod reads;
mod ring;
mod source;
mod state;
mod stream;
mod subscriptions;
mod upstream;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod script;

pub use cursor::Create;
pub use events::{Filter, split};
pub use exchange::{Output, Refusal, StreamRequest};
pub use hub::{Counts, Hub, Requests, WatchStream};
pub use metrics::register;
