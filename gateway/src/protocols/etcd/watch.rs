//! etcd's Watch service: a gRPC stream in, a hub stream out.
//!
//! ```text
//!  client ──WatchRequest──► read (a task: never waits for the store) ──► hub stream
//!  client ◄──head + events── Responses (polled as the client takes them) ◄──┘
//! ```
//!
//! A service of its own rather than the generated one: its responses carry events that are encoded already, and a
//! stream's buffers start small, because most watch streams are idle.
//!
//! Invariants: the client's end of its requests does not end the stream; everything of a stream ends with its response.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response};
use http_body::Body;
use internal_proto::{KeyRange, Revision};
use parking_lot::Mutex;
use proto::etcdserverpb as wire;
use tokio::time::{Instant, Interval, interval_at};
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, StreamingService};
use tonic::{Status, Streaming};

use super::Identity;
use super::watch_codec::{Frame, WatchCodec, fragments};
use crate::config::Config;
use crate::watch::{Create, Filter, Hub, Output, Refusal, Requests, StreamRequest, WatchStream};

/// The watch id of answers that concern no watch.
const NO_WATCH: i64 = -1;

/// Intervals of progress notifications are this much longer at most, in parts of themselves: streams that were opened
/// together do not all speak at once.
const JITTER_PART: u32 = 10;

/// The service `etcdserverpb.Watch`. A clone is the same service.
#[derive(Clone)]
pub struct WatchService {
    hub: Arc<Hub>,
    identity: Identity,
    /// Responses of at least so many bytes are cut for clients that asked for it.
    fragment_bytes: usize,
    /// How often a quiet watch that asked for it hears of progress.
    progress_interval: Duration,
}

impl WatchService {
    /// A service over a hub, under headers of this identity.
    #[must_use]
    pub fn new(hub: Arc<Hub>, identity: Identity, config: &Config) -> Self {
        let (fragment_bytes, progress_interval) = (config.receive_limit(), config.watch_progress_interval);
        Self { hub, identity, fragment_bytes, progress_interval }
    }

    fn open(&self, messages: Streaming<wire::WatchRequest>) -> Responses {
        let (stream, requests) = self.hub.open();
        let failure = Arc::default();
        let period = self.progress_interval;
        let period = period + (period / JITTER_PART).mul_f64(rand::random());
        let reader = tokio::spawn(read(messages, requests, period, Arc::clone(&failure)));
        Responses {
            stream,
            identity: self.identity.clone(),
            fragment_bytes: self.fragment_bytes,
            pending: VecDeque::new(),
            failure,
            reader: reader.abort_handle(),
        }
    }
}

/// Serves calls of `etcdserverpb.Watch/Watch`.
pub trait Watches: Clone + Send + Sync + 'static {
    /// Answers one call.
    fn respond<B>(&self, request: Request<B>) -> BoxFuture<Response<tonic::body::Body>, Infallible>
    where
        B: Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send;
}

impl Watches for WatchService {
    fn respond<B>(&self, request: Request<B>) -> BoxFuture<Response<tonic::body::Body>, Infallible>
    where
        B: Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let service = self.clone();
        // What is received is limited before it gets here, as for every service.
        let mut grpc = Grpc::new(WatchCodec).max_decoding_message_size(usize::MAX);
        Box::pin(async move { Ok(grpc.streaming(service, request).await) })
    }
}

impl StreamingService<wire::WatchRequest> for WatchService {
    type Response = Frame;
    type ResponseStream = Responses;
    type Future = std::future::Ready<Result<tonic::Response<Responses>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<wire::WatchRequest>>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(self.open(request.into_inner()))))
    }
}

/// Hands a client's requests to the hub as fast as they come, until the stream is over. The task outlives the
/// requests only to tell of progress.
async fn read(
    mut messages: Streaming<wire::WatchRequest>,
    requests: Requests,
    period: Duration,
    failure: Arc<Mutex<Option<Status>>>,
) {
    let first_tick = Instant::now() + period;
    let mut ticks: Option<Interval> = None;
    let mut open = true;
    while open || ticks.is_some() {
        requests.ready().await;
        tokio::select! {
            message = messages.message(), if open => match message {
                Ok(None) => open = false,
                Ok(Some(message)) => {
                    let Some(request) = translate(&message) else { continue };
                    if matches!(&request, StreamRequest::Create(create) if create.progress_notify) {
                        ticks.get_or_insert_with(|| interval_at(first_tick.max(Instant::now()), period));
                    }
                    requests.push(request);
                }
                Err(status) => {
                    *failure.lock() = Some(status);
                    return requests.end();
                }
            },
            () = tick(&mut ticks), if ticks.is_some() => requests.push(StreamRequest::Tick),
        }
    }
}

async fn tick(ticks: &mut Option<Interval>) {
    if let Some(ticks) = ticks {
        ticks.tick().await;
    }
}

/// A request in the hub's words; `None` for one that says nothing, which etcd ignores.
fn translate(message: &wire::WatchRequest) -> Option<StreamRequest> {
    use wire::watch_request::RequestUnion;
    Some(match message.request_union.as_ref()? {
        RequestUnion::CreateRequest(create) => self::create(create),
        RequestUnion::CancelRequest(cancel) => StreamRequest::Cancel(cancel.watch_id),
        RequestUnion::ProgressRequest(_) => StreamRequest::Progress,
    })
}

fn create(create: &wire::WatchCreateRequest) -> StreamRequest {
    use wire::watch_create_request::FilterType;
    if create.start_revision < 0 {
        return StreamRequest::Refuse(Refusal::NegativeStart);
    }
    // What outlives the request is copied out of the receive buffer. The smallest key is one zero byte.
    let key = if create.key.is_empty() { Bytes::from_static(b"\0") } else { Bytes::copy_from_slice(&create.key) };
    let range = KeyRange::from_wire(key, Bytes::copy_from_slice(&create.range_end));
    if range.is_empty() {
        return StreamRequest::Refuse(Refusal::EmptyRange);
    }
    let filtered = |kind: FilterType| create.filters.contains(&(kind as i32));
    StreamRequest::Create(Create {
        watch_id: create.watch_id,
        range,
        start: (create.start_revision > 0).then_some(Revision(create.start_revision)),
        prev_kv: create.prev_kv,
        progress_notify: create.progress_notify,
        fragment: create.fragment,
        filter: Filter { puts: !filtered(FilterType::Noput), deletes: !filtered(FilterType::Nodelete) },
    })
}

const fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NegativeStart => "etcdserver: mvcc: required revision has been compacted",
        Refusal::EmptyRange => "mvcc: watcher range is empty",
        Refusal::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        Refusal::TooManyFeeds => "etcdserver: too many requests",
    }
}

/// What a client is sent, made as it takes it.
pub struct Responses {
    stream: WatchStream,
    identity: Identity,
    fragment_bytes: usize,
    /// The rest of a response that was cut.
    pending: VecDeque<Frame>,
    /// Why the requests failed.
    failure: Arc<Mutex<Option<Status>>>,
    reader: tokio::task::AbortHandle,
}

impl Responses {
    fn frame(&self, output: Output) -> Frame {
        let mut response = wire::WatchResponse::default();
        let (revision, events) = match output {
            Output::Created { watch_id, revision } => {
                (response.watch_id, response.created) = (watch_id, true);
                (revision, Bytes::new())
            }
            Output::Refused { refusal, revision } => {
                (response.watch_id, response.created, response.canceled) = (NO_WATCH, true, true);
                response.cancel_reason = reason(refusal).to_owned();
                (revision, Bytes::new())
            }
            Output::Canceled { watch_id, revision } => {
                (response.watch_id, response.canceled) = (watch_id, true);
                (revision, Bytes::new())
            }
            Output::Compacted { watch_id, compacted } => {
                (response.watch_id, response.canceled) = (watch_id, true);
                response.compact_revision = compacted.0;
                // etcd's header of this one has no revision.
                (Revision(0), Bytes::new())
            }
            Output::Progress { watch_id, revision } => {
                response.watch_id = watch_id.unwrap_or(NO_WATCH);
                (revision, Bytes::new())
            }
            Output::Events { watch_id, revision, events, .. } => {
                response.watch_id = watch_id;
                (revision, events)
            }
        };
        response.header = Some(self.identity.header(&self.stream.stamp(), revision));
        Frame { response, events }
    }
}

impl Stream for Responses {
    type Item = Result<Frame, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(frame) = this.pending.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(output) = ready!(this.stream.poll_next(context)) else {
            return Poll::Ready(this.failure.lock().take().map(Err));
        };
        let cut = matches!(output, Output::Events { fragment: true, .. });
        let frame = this.frame(output);
        if !cut {
            return Poll::Ready(Some(Ok(frame)));
        }
        this.pending = fragments(frame, this.fragment_bytes);
        Poll::Ready(this.pending.pop_front().map(Ok))
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
