//! What peers call: their messages come in here and go to the node.
//!
//! Invariant: a stream is accepted only from another member of this cluster that wants to reach this one, and from one
//! process of it at a time.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, stream};
use internal_proto::introduction::{BOOT_KEY, MEMBER_KEY, RECEIVER_KEY};
use internal_proto::peer::peer_server::{Peer, PeerServer};
use internal_proto::peer::{Nothing, Parcel};
use internal_proto::{MemberId, peer};
use tonic::{Request, Response, Status, Streaming};

use super::admission::{Refusals, member, text};
use super::server::MAX_MESSAGE_BYTES;
use crate::raft::transport::{Inbound, Peers, Recipient, decode};

/// The service for a node's peers, to be added to the server's routes.
#[must_use]
pub fn service(peers: Arc<Peers>, recipient: Arc<dyn Recipient>) -> PeerServer<impl Peer> {
    let service = PeerService { peers, recipient, refusals: Refusals::default() };
    PeerServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

struct PeerService {
    peers: Arc<Peers>,
    recipient: Arc<dyn Recipient>,
    refusals: Refusals,
}

/// A stream that carries nothing but its own end.
type Answers = Pin<Box<dyn Stream<Item = Result<Nothing, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for PeerService {
    type ControlStream = Answers;
    type AppendStream = Answers;
    type SnapshotStream = Answers;

    async fn control(&self, request: Request<Streaming<Parcel>>) -> Result<Response<Answers>, Status> {
        self.accept(request)
    }

    async fn append(&self, request: Request<Streaming<Parcel>>) -> Result<Response<Answers>, Status> {
        self.accept(request)
    }

    async fn snapshot(&self, request: Request<Streaming<Parcel>>) -> Result<Response<Answers>, Status> {
        self.accept(request)
    }
}

impl PeerService {
    fn accept(&self, request: Request<Streaming<Parcel>>) -> Result<Response<Answers>, Status> {
        let address = request.remote_addr().map(|address| address.ip());
        let from = member(request.metadata(), MEMBER_KEY);
        let caller = (address, from);
        let (from, stream) = self.judge(&request).inspect_err(|status| self.refusals.note(caller, status.message()))?;
        self.refusals.forget(caller);
        let (peers, recipient) = (Arc::clone(&self.peers), Arc::clone(&self.recipient));
        let work = async move {
            // Held as long as the stream lasts.
            let _stream = stream;
            let to = peers.introduction().member;
            tokio::select! {
                end = receive(request.into_inner(), from, to, &*recipient) => end,
                () = peers.closed() => Err(Status::unavailable("the node stops")),
            }
        };
        Ok(Response::new(Box::pin(stream::once(work))))
    }

    fn judge<T>(&self, request: &Request<T>) -> Result<(MemberId, crate::raft::transport::InboundStream), Status> {
        let metadata = request.metadata();
        let myself = self.peers.introduction().member;
        let from = member(metadata, MEMBER_KEY).ok_or_else(|| Status::unauthenticated("the caller is no member"))?;
        if from == myself {
            return Err(Status::already_exists(format!(
                "duplicate member: {from} is this node's own id; give each member its own --name, URLs and data"
            )));
        }
        if member(metadata, RECEIVER_KEY) != Some(myself) {
            return Err(Status::permission_denied(format!(
                "wrong member: this is {myself}; the caller's --initial-cluster names another one at this URL"
            )));
        }
        if !self.peers.knows(from) {
            return Err(Status::permission_denied(format!("unknown member: {from} is not in this cluster")));
        }
        let boot = text(metadata, BOOT_KEY).and_then(|boot| boot.parse().ok());
        let boot = boot.ok_or_else(|| Status::unauthenticated("the caller does not say which process it is"))?;
        let stream = Inbound::open(self.peers.inbound(), from, boot).ok_or_else(|| {
            Status::already_exists(format!("duplicate member: another process of member {from} is connected"))
        })?;
        Ok((from, stream))
    }
}

/// Brings a stream's messages to the node until it ends.
async fn receive(
    mut parcels: Streaming<Parcel>,
    from: MemberId,
    to: MemberId,
    recipient: &dyn Recipient,
) -> Result<Nothing, Status> {
    while let Some(parcel) = parcels.message().await? {
        if !(1..=Parcel::FORMAT).contains(&parcel.format) {
            let format = parcel.format;
            return Err(Status::failed_precondition(format!("messages of format {format} are not known here")));
        }
        for message in &parcel.messages {
            deliver(message, from, to, recipient);
        }
    }
    Err(Status::cancelled("the caller ended the stream"))
}

fn deliver(message: &peer::Message, from: MemberId, to: MemberId, recipient: &dyn Recipient) {
    let kind = message.kind;
    match decode(message, from, to) {
        Some(message) => recipient.deliver(message),
        None => tracing::debug!(%from, kind, "a message of an unknown kind was dropped"),
    }
}
