//! The way to the peers. Raft tolerates loss, delay, repetition and disorder, so nothing here waits or answers.
//!
//! ```text
//!  raft ─send─► peers ─┬► queue ─► lane "control"  ═connection═► the peer's server ─► its node
//!                      ├► queue ─► lane "append"   ═connection═►
//!                      └► queue ─► lane "snapshot" ═connection═►
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

use super::snapshot::Transfer;
pub(crate) use inbound::{Inbound, Stream as InboundStream};
pub use peers::{Introduction, Peers};
pub(crate) use wire::decode;

/// What one member tells another.
#[derive(Clone, Debug)]
pub struct PeerMessage(pub(super) Content);

/// What a message is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// Raft's own.
    Raft(Message),
    /// A snapshot on its way.
    Snapshot(Transfer),
}

impl PeerMessage {
    pub(super) const fn from_raft(message: Message) -> Self {
        Self(Content::Raft(message))
    }

    pub(super) const fn from_transfer(transfer: Transfer) -> Self {
        Self(Content::Snapshot(transfer))
    }

    /// Who is to receive it.
    #[must_use]
    pub const fn to(&self) -> MemberId {
        match &self.0 {
            Content::Raft(message) => MemberId(message.to),
            Content::Snapshot(transfer) => transfer.to,
        }
    }

    /// Who sent it.
    #[must_use]
    pub const fn from(&self) -> MemberId {
        match &self.0 {
            Content::Raft(message) => MemberId(message.from),
            Content::Snapshot(transfer) => transfer.from,
        }
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
