//! One lane to one peer: a connection with one stream on it, made again whenever it is lost.
//!
//! ```text
//!            ┌── nobody listens, no answer, refused ──┐
//!            ▼                                        │ pause, longer each time
//!  apart ─► connect ─► introduce ─► accepted ─► carry what is queued
//!            ▲                                        │ lost: what is queued is dropped, raft hears of it
//!            └────────────────────────────────────────┘
//! ```
//!
//! Invariant: what an operator should know is logged when it changes, not with every attempt.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use internal_proto::MemberId;
use internal_proto::peer::Parcel;
use internal_proto::peer::peer_client::PeerClient;
use tokio::sync::oneshot;
use tonic::metadata::MetadataMap;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};

use super::Recipient;
use super::connection::{CONNECTION_WINDOW, PING_EVERY, PING_TIMEOUT, STREAM_WINDOW};
use super::inbound::Inbound;
use super::queue::{Queue, Taken};
use super::wire::Lane;

/// For a connection to be made, and for the stream on it to be accepted.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Before the first new attempt: an ended process is noticed at once, and a peer that hangs up at once is not stormed.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause: a peer that comes back is found within it, and nobody notices the attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The task of one lane.
pub(super) struct Link {
    pub(super) peer: MemberId,
    pub(super) lane: Lane,
    /// Tried in turn.
    pub(super) urls: Vec<String>,
    /// Who calls.
    pub(super) metadata: MetadataMap,
    pub(super) queue: Arc<Queue>,
    pub(super) recipient: Arc<dyn Recipient>,
    pub(super) inbound: Arc<Inbound>,
}

/// How things stand with the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Never connected yet.
    Unknown,
    Connected,
    /// The connection broke.
    Lost(String),
    /// Nobody listens where the peer should.
    NobodyThere,
    /// No connection for another reason.
    Unreachable(String),
    /// The peer, or somebody in its place, does not want this member.
    Refused(String),
}

impl Link {
    /// Connects for ever again.
    pub(super) async fn run(self) {
        let mut standing = Standing::Unknown;
        let mut pause = FIRST_PAUSE;
        for url in self.urls.iter().cycle() {
            let end = match self.open(url).await {
                Ok((answers, _open)) => {
                    self.note(&mut standing, Standing::Connected);
                    pause = FIRST_PAUSE;
                    Standing::Lost(lost(answers).await)
                }
                Err(end) => end,
            };
            self.queue.clear();
            self.recipient.unreachable(self.peer);
            let tells = self.lane == Lane::Control;
            if tells && end == Standing::NobodyThere && !self.inbound.is_connected(self.peer) {
                self.recipient.gone(self.peer);
            }
            self.note(&mut standing, end);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Connects and introduces this member. Dropping the second part ends the outgoing stream.
    pub(super) async fn open(
        &self,
        url: &str,
    ) -> Result<(Streaming<internal_proto::peer::Nothing>, oneshot::Sender<()>), Standing> {
        let unreachable = |error: tonic::transport::Error| match refused_by_system(&error) {
            true => Standing::NobodyThere,
            false => Standing::Unreachable(reason(&error)),
        };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unreachable)?;
        let channel = endpoint
            .connect_timeout(ANSWER_WITHIN)
            .tcp_nodelay(true)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(unreachable)?;
        let (open, ended) = oneshot::channel();
        let mut request = Request::new(self.parcels().take_until(ended));
        *request.metadata_mut() = self.metadata.clone();
        let mut client = PeerClient::new(channel);
        let accepted = async {
            match self.lane {
                Lane::Control => client.control(request).await,
                Lane::Append => client.append(request).await,
                Lane::Snapshot => client.snapshot(request).await,
            }
        };
        match tokio::time::timeout(ANSWER_WITHIN, accepted).await {
            Ok(Ok(answers)) => Ok((answers.into_inner(), open)),
            Ok(Err(status)) if is_refusal(&status) => Err(Standing::Refused(status.message().to_owned())),
            Ok(Err(status)) => Err(Standing::Unreachable(status.message().to_owned())),
            Err(_) => Err(Standing::Unreachable("no answer in time".to_owned())),
        }
    }

    /// What leaves, parcel by parcel. What queues up while a parcel is on its way forms the next.
    fn parcels(&self) -> impl Stream<Item = Parcel> + Send + use<> {
        let (queue, recipient, peer) = (Arc::clone(&self.queue), Arc::clone(&self.recipient), self.peer);
        stream::unfold((), move |()| {
            let (queue, recipient) = (Arc::clone(&queue), Arc::clone(&recipient));
            async move {
                let Taken { messages, dropped } = queue.take().await;
                if dropped {
                    recipient.unreachable(peer);
                }
                Some((Parcel { format: Parcel::FORMAT, messages }, ()))
            }
        })
    }

    /// Logs a change. The other lanes share the fate of the control lane and would only repeat it.
    fn note(&self, standing: &mut Standing, now: Standing) {
        let (peer, changed) = (self.peer, *standing != now);
        if changed && self.lane == Lane::Control {
            let url = self.urls.join(",");
            match &now {
                Standing::Unknown => {}
                Standing::Connected => tracing::info!(%peer, %url, "connected to the peer"),
                Standing::Lost(reason) => tracing::warn!(%peer, %url, reason, "lost the connection to the peer"),
                Standing::NobodyThere => tracing::warn!(%peer, %url, "nobody listens where the peer should"),
                Standing::Unreachable(reason) => tracing::warn!(%peer, %url, reason, "cannot reach the peer"),
                Standing::Refused(reason) => tracing::error!(%peer, %url, reason, "the peer refuses this member"),
            }
        }
        *standing = now;
    }
}

/// Waits until the stream ends; why.
async fn lost(mut answers: Streaming<internal_proto::peer::Nothing>) -> String {
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return "the peer ended it".to_owned(),
            Err(status) => return status.message().to_owned(),
        }
    }
}

/// Whether the peer's words are about who calls rather than about the connection.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied | Code::FailedPrecondition | Code::AlreadyExists
    )
}

/// What led to an error, outermost first.
fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    fn cause<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        (*error).source()
    }
    std::iter::successors(error.source(), cause)
}

/// Whether the peer's system answered that nobody listens there.
fn refused_by_system(error: &tonic::transport::Error) -> bool {
    causes(error).any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// The innermost cause, which says what happened.
fn reason(error: &tonic::transport::Error) -> String {
    let innermost = causes(error).last();
    innermost.map_or_else(|| error.to_string(), ToString::to_string)
}
