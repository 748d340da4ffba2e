//! Follows what a node says of the leadership; a node that says nothing cannot be reached.
//!
//! Invariant: what an operator should know is logged when it changes, not with every attempt.

use internal_proto::introduction::MEMBER_KEY;
use internal_proto::wire::Nothing;
use internal_proto::{MemberId, Standing};
use tokio::sync::watch;
use tonic::{Code, Status};

use super::Client;
use super::backoff::Backoff;

pub(super) async fn follow(mut client: Client, member: MemberId, said: watch::Sender<Standing>) {
    let mut backoff = Backoff::default();
    let mut refused: Option<String> = None;
    // The node of the same process calls the others too, and says why they refuse it.
    let is_told = client.headers.contains_key(MEMBER_KEY);
    loop {
        let Err(status) = listen(&mut client, &said, &mut backoff).await;
        let was = said.send_replace(Standing::default());
        if was.reachable {
            refused = None;
            tracing::info!(member = %member, reason = status.message(), "a storage node is lost");
        } else if status.code() != Code::Unavailable && refused.as_deref() != Some(status.message()) && !is_told {
            refused = Some(status.message().to_owned());
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
