//! The Store service: the node as gateways on other machines reach it, over any `Store`.
//!
//! ```text
//!  gateway ══control══► calls     barriers, keepalives, status        standing: pushed when it changes
//!          ══pipeline═► calls     writes
//!          ══bulk═════► calls     reads
//!          ══watch════► watch     the hub's link
//! ```
//!
//! Invariants: a stream meant for another member is refused by name; what is no message ends its stream with the
//! reason, and nothing else. Format, token and cluster are admission's, before anything comes here.

use std::sync::Arc;

use internal_proto::introduction::RECEIVER_KEY;
use internal_proto::wire::{
    AnswerFrame, BatchFrame, CallFrame, MAX_MESSAGE_BYTES, Malformed, Nothing, StoreServer, StoreService,
    WatchCommands, WireStanding, batch_frames,
};
use internal_proto::{Store, WatchCommand, WatchLink};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::admission::member;
use super::calls::Calls;

/// Frames made and not yet taken by the connection: what comes later gathers where it is bounded.
const FRAME_QUEUE: usize = 1;

/// The service over one node.
pub struct Service {
    store: Arc<dyn Store>,
}

/// The service as a server carries it.
pub fn service(store: Arc<dyn Store>) -> StoreServer<Service> {
    StoreServer::new(Service { store }).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

impl Service {
    /// Refuses what is meant for another member.
    fn admit(&self, headers: &MetadataMap) -> Result<(), Status> {
        let myself = self.store.member();
        match member(headers, RECEIVER_KEY) {
            Some(meant) if meant != myself => Err(Status::failed_precondition(format!(
                "this is member {myself}, not member {meant}: the address belongs to another member now"
            ))),
            _ => Ok(()),
        }
    }
}

type Frames<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl StoreService for Service {
    type CallsStream = Frames<AnswerFrame>;
    type StandingStream = Frames<WireStanding>;
    type WatchStream = Frames<BatchFrame>;

    async fn calls(&self, request: Request<Streaming<CallFrame>>) -> Result<Response<Self::CallsStream>, Status> {
        self.admit(request.metadata())?;
        let (frames, stream) = mpsc::channel(FRAME_QUEUE);
        tokio::spawn(Calls::new(Arc::clone(&self.store)).serve(request.into_inner(), frames));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn standing(&self, request: Request<Nothing>) -> Result<Response<Self::StandingStream>, Status> {
        self.admit(request.metadata())?;
        let (said, stream) = mpsc::channel(FRAME_QUEUE);
        tokio::spawn(tell_standing(Arc::clone(&self.store), said));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn watch(&self, request: Request<Streaming<WatchCommands>>) -> Result<Response<Self::WatchStream>, Status> {
        self.admit(request.metadata())?;
        let (frames, stream) = mpsc::channel(FRAME_QUEUE);
        tokio::spawn(serve_link(self.store.watch(), request.into_inner(), frames));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Says who leads until nobody listens.
async fn tell_standing(store: Arc<dyn Store>, said: mpsc::Sender<Result<WireStanding, Status>>) {
    let mut standing = store.standing();
    loop {
        let now = WireStanding::new(store.member(), *standing.borrow_and_update());
        if said.send(Ok(now)).await.is_err() {
            return;
        }
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return },
            () = said.closed() => return,
        }
    }
}

/// Joins a link to a stream until either ends.
async fn serve_link(
    link: WatchLink,
    mut stream: Streaming<WatchCommands>,
    frames: mpsc::Sender<Result<BatchFrame, Status>>,
) {
    let WatchLink { commands, mut batches } = link;
    let up = async {
        while let Ok(Some(message)) = stream.message().await {
            for command in message.commands {
                match WatchCommand::try_from(command) {
                    // The hub takes commands whatever else it does.
                    Ok(command) => commands.send(command).await.map_err(|_| None)?,
                    Err(malformed) => return Err(Some(malformed)),
                }
            }
        }
        Ok::<(), Option<Malformed>>(())
    };
    let down = async {
        while let Some(batch) = batches.recv().await {
            for frame in batch_frames(&batch) {
                if frames.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        ended = up => if let Err(Some(malformed)) = ended {
            tracing::warn!(%malformed, "a watch link is closed");
            let _ = frames.send(Err(Status::invalid_argument(malformed.to_string()))).await;
        },
        () = down => {}
    }
}
