//! The way to the peers. Raft tolerates loss, delay, repetition and disorder, so nothing here waits or answers.
//!
//! ```text
//!  raft ─send─► peers ─┬► queue ─► lane "control" ═connection═► the peer's server ─► its node
//!                      └► queue ─► lane "append"  ═connection═►
//!  raft ◄─unreachable, gone── lanes       one task and one connection for each peer and lane
//! ```
//!
//! Invariants: sending never waits; what is full or disconnected drops; raft hears of every connection that is lost.

pub(crate) mod connection;
mod inbound;
mod lane;
mod peers;
mod queue;
#[cfg(test)]
mod tests;
mod wire;

use internal_proto::MemberId;
use raft::eraftpb::Message;

pub(crate) use inbound::{Inbound, Stream as InboundStream};
pub use peers::{Introduction, Peers};
pub(crate) use wire::decode;

/// A raft message between two members.
#[derive(Clone, Debug)]
pub struct PeerMessage(pub(super) Message);

impl PeerMessage {
    pub(crate) const fn from_raft(message: Message) -> Self {
        Self(message)
    }

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

/// Takes what the transport brings.
pub trait Recipient: Send + Sync {
    /// A peer's message.
    fn deliver(&self, message: PeerMessage);

    /// Messages to this peer were lost: what it has received is unknown.
    fn unreachable(&self, peer: MemberId);

    /// No connection with this peer is left, and where it listened nobody does: its process has ended.
    fn gone(&self, peer: MemberId);
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
