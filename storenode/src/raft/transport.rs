//! The way to the peers. Raft tolerates loss, delay, repetition and disorder, so nothing here waits or answers.

use internal_proto::MemberId;
use raft::eraftpb::Message;

/// A raft message between two members.
#[derive(Clone, Debug)]
pub struct PeerMessage(pub(super) Message);

impl PeerMessage {
    /// Who is to receive it.
    #[must_use]
    pub const fn to(&self) -> MemberId {
        MemberId(self.0.to)
    }

    /// Who sent it.
    #[must_use]
    pub const fn from(&self) -> MemberId {
        MemberId(self.0.from)
    }
}

/// Takes messages towards the peers.
pub trait Transport: Send + Sync {
    /// Sends if that is possible without waiting, otherwise drops.
    fn send(&self, messages: Vec<PeerMessage>);
}

/// The transport of a member that has no peers: raft addresses only members, so nothing is ever sent.
#[derive(Clone, Copy, Debug)]
pub struct NoPeers;

impl Transport for NoPeers {
    fn send(&self, messages: Vec<PeerMessage>) {
        for message in messages {
            tracing::warn!(to = %message.to(), "a message for a member that cannot be reached was dropped");
        }
    }
}
