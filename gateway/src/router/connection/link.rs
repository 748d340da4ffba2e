//! A link to a node's watch hub across the network. It ends when the connection does; whoever holds it opens another.

use bytes::BytesMut;
use internal_proto::wire::{WatchCommands, WireWatchCommand, join_batch};
use internal_proto::{MemberId, WatchBatch, WatchCommand, WatchLink};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Client;

/// Commands on the way to the hub; the holder keeps what does not fit.
const COMMAND_QUEUE: usize = 1024;
/// Batches on the way from the hub: what comes later gathers there, bounded in bytes.
const BATCH_QUEUE: usize = 1;

/// Opens a link that ends at the latest when the sender of `alive` is gone.
pub(super) fn open(client: Client, member: MemberId, mut alive: watch::Receiver<()>) -> WatchLink {
    let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
    let (batch_queue, batches) = mpsc::channel(BATCH_QUEUE);
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = carry(client, command_queue, batch_queue) => ended,
            _ = alive.changed() => return,
        };
        let Err(status) = ended else { return };
        tracing::info!(member = %member, reason = status.message(), "a watch link to a storage node ended");
    });
    WatchLink { commands, batches }
}

/// Carries commands and batches until the holder drops the link, or the connection breaks.
async fn carry(
    mut client: Client,
    mut commands: mpsc::Receiver<WatchCommand>,
    batches: mpsc::Sender<WatchBatch>,
) -> Result<(), Status> {
    let (frames, stream) = mpsc::channel(1);
    let request = client.request(ReceiverStream::new(stream));
    let mut received = client.client.watch(request).await?.into_inner();
    let up = async {
        let mut taken = Vec::new();
        while commands.recv_many(&mut taken, COMMAND_QUEUE).await > 0 {
            let commands = taken.drain(..).map(|command| WireWatchCommand::from(&command)).collect();
            if frames.send(WatchCommands { commands }).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let mut joined = BytesMut::new();
        while let Some(frame) = received.message().await? {
            let batch = join_batch(&mut joined, frame).map_err(|error| Status::invalid_argument(error.to_string()))?;
            if let Some(batch) = batch
                && batches.send(batch).await.is_err()
            {
                return Ok(());
            }
        }
        Err(Status::unavailable("the node ended the stream"))
    };
    tokio::select! {
        () = up => Ok(()),
        ended = down => ended,
        () = batches.closed() => Ok(()),
    }
}
