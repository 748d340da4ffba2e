//! Follows what a node says of the leadership; a node that says nothing cannot be reached.

use internal_proto::wire::Nothing;
use internal_proto::{MemberId, Standing};
use tokio::sync::watch;
use tonic::{Code, Status};

use super::Client;
use super::backoff::Backoff;

pub(super) async fn follow(mut client: Client, member: MemberId, said: watch::Sender<Standing>) {
    let mut backoff = Backoff::default();
    loop {
        let Err(status) = listen(&mut client, &said, &mut backoff).await;
        let was = said.send_replace(Standing::default());
        if was.reachable {
            tracing::info!(member = %member, reason = status.message(), "a storage node is lost");
        } else if status.code() != Code::Unavailable {
            tracing::warn!(member = %member, reason = status.message(), "a storage node refuses this gateway");
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn listen(
    client: &mut Client,
    said: &watch::Sender<Standing>,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, Status> {
    let request = client.request(Nothing {});
    let mut stream = client.client.standing(request).await?.into_inner();
    while let Some(standing) = stream.message().await? {
        backoff.reset();
        said.send_replace(standing.standing());
    }
    Err(Status::unavailable("the node ended the stream"))
}
