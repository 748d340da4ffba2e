//! One newtype per concept, so that a revision is never taken for a log index.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, $format, self.0)
            }
        }
    };
}

number!(
    /// A point in the store's history: one per request that changed anything. An empty store is at 1.
    Revision(i64), "{}"
);
number!(
    /// A lease, chosen by the client or, when it asks for 0, by the node that proposes the grant. May be negative.
    LeaseId(i64), "{:016x}"
);
number!(
    /// A storage node for raft and for clients: etcd's member id.
    MemberId(u64), "{:x}"
);
number!(
    /// The cluster: etcd derives it from the first members' ids.
    ClusterId(u64), "{:x}"
);
number!(
    /// A position in the replicated log. The first entry has 1.
    LogIndex(u64), "{}"
);
number!(
    /// A raft term: it rises with every election.
    Term(u64), "{}"
);
number!(
    /// Rises by one with every effective change of users, roles or permissions. Starts at 1.
    AuthRevision(u64), "{}"
);
number!(
    /// A gateway's numbered writes: the log index of the command that opened the session.
    SessionId(u64), "{}"
);

impl Revision {
    /// The revision of a store in which nothing was ever written.
    pub const EMPTY_STORE: Self = Self(1);

    /// The revision that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl LogIndex {
    /// The index that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A member of the cluster as its peers and clients know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Fixed for the member's life.
    pub id: MemberId,
    /// Empty until the member has started once.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until the member has started once.
    pub client_urls: Vec<String>,
    /// Where gateways reach its Store service, if not at the peer URLs.
    pub store_urls: Vec<String>,
    /// Receives the log but does not vote.
    pub learner: bool,
    /// The highest format version of commands that the member can apply; 0 until it has started once.
    pub format: u32,
}
