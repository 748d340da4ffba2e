//! What a client asks on its stream, and what it is sent.

use bytes::Bytes;
use internal_proto::Revision;

use super::cursor::Create;

/// What a client asks on its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamRequest {
    /// Create a watch.
    Create(Create),
    /// Answer a creation that cannot be: in its turn, because answers come in the order of requests.
    Refuse(Refusal),
    /// End a watch.
    Cancel(i64),
    /// Tell how far all watches of the stream are complete.
    Progress,
    /// The interval of progress notifications has passed.
    Tick,
}

/// Why a watch is not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its start is negative.
    NegativeStart,
    /// It would watch no key.
    EmptyRange,
    /// The stream has a watch of this id.
    DuplicateId,
    /// The gateway has as many feeds as it may have.
    TooManyFeeds,
}

/// What a stream sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A watch began.
    Created {
        /// The watch.
        watch_id: i64,
        /// The store's revision.
        revision: Revision,
    },
    /// A watch was not created.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The store's revision.
        revision: Revision,
    },
    /// A watch ended because the client asked.
    Canceled {
        /// The watch.
        watch_id: i64,
        /// The store's revision.
        revision: Revision,
    },
    /// A watch ended because its next event is compacted.
    Compacted {
        /// The watch.
        watch_id: i64,
        /// The compacted revision.
        compacted: Revision,
    },
    /// Everything up to a revision has been sent.
    Progress {
        /// For this watch; `None`: for all of the stream.
        watch_id: Option<i64>,
        /// The revision.
        revision: Revision,
    },
    /// Events of one revision, or of several if the watch catches up.
    Events {
        /// The watch.
        watch_id: i64,
        /// The revision that the header shows.
        revision: Revision,
        /// Encoded as in etcd's WatchResponse.
        events: Bytes,
        /// Whether the client takes the response in parts.
        fragment: bool,
    },
}

impl Output {
    /// The revision that the client sees with it; 0 where it sees none.
    pub(super) const fn revision(&self) -> Revision {
        match self {
            Self::Created { revision, .. }
            | Self::Refused { revision, .. }
            | Self::Canceled { revision, .. }
            | Self::Progress { revision, .. }
            | Self::Events { revision, .. } => *revision,
            Self::Compacted { .. } => Revision(0),
        }
    }
}
