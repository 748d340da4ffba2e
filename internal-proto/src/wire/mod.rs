//! The vocabulary between machines: `proto/store.proto` and the conversions from and to it.
//!
//! ```text
//!  Ask ─► Call ─┐                         ┌─► Answered{outcome}            short
//!               ├─► CallFrame ══► node ───┤
//!  Ask ─► Call ─┘                         └─► Answered{part} … {last}      long: no message is larger than a frame
//! ```
//!
//! Invariants: decoding what was encoded gives the same; what is no message of this format is refused, never
//! half-understood. Every stream's headers carry the format, as [`crate::introduction`] says.

mod answer;
mod batch;
mod calls;
mod error;
mod parts;
mod request;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use calls::{Ask, Told};
pub use parts::{Joiner, MAX_JOINED_BYTES, MAX_PART_BYTES, batch_frames, join_batch, told_parts};

pub use crate::generated::metastore::command::Nothing;
pub use crate::generated::metastore::store::{
    AnswerFrame, Answered, BatchFrame, Call, CallFrame, Standing as WireStanding, WatchCommand as WireWatchCommand,
    WatchCommands, store_client::StoreClient, store_server::Store as StoreService, store_server::StoreServer,
};

use crate::{EntryError, MemberId, Standing, Term};

/// A frame holds at most so many bytes of calls, or one call: what a node takes without delaying others.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// No message between gateway and node is larger: one call with the largest request that can be configured, encoded.
pub const MAX_MESSAGE_BYTES: usize = (1 << 30) + (1 << 20);

/// Bytes in flight on one connection. h2 lets small frames take half of it; with its default three thousand of them on
/// one stream end the connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Bytes in flight on one stream: a frame or a part and the next.
pub const STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// A message that says nothing in this format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message between gateway and storage node: {0}")]
pub struct Malformed(pub String);

impl From<EntryError> for Malformed {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Malformed(what) => Self(what),
            newer @ EntryError::NewerFormat { .. } => Self(newer.to_string()),
        }
    }
}

impl From<prost::DecodeError> for Malformed {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// A field without which the message means nothing.
fn required<T>(value: Option<T>, what: &str) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed(format!("{what} is missing")))
}

impl WireStanding {
    /// What `member` says of the leadership.
    #[must_use]
    pub fn new(member: MemberId, standing: Standing) -> Self {
        Self { member: member.0, leader: standing.leader.map(|leader| leader.0), term: standing.term.0 }
    }

    /// What was said, by a node that was reached.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { reachable: true, leader: self.leader.map(MemberId), term: Term(self.term) }
    }
}
