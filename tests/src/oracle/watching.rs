//! What the watch streams of one system have said, sorted by watch.
//!
//! ```text
//!  responses ─► created (in order) │ progress (in order) │ per watch: events and cancellations, in order
//! ```
//!
//! etcd orders the responses of different watches of a stream as it likes, so each watch is a sequence of its own,
//! named by the number of its creation: ids are used again after a cancellation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use internal_proto::Event;
use parking_lot::Mutex;
use proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_request::RequestUnion,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::fault::Fault;
use crate::client::Client;

/// The watch of every stream by which the suite knows that events up to a revision have arrived.
pub const SENTINEL_ID: i64 = 1_000_000;
/// Its key, which no generator uses.
pub const SENTINEL_KEY: &[u8] = b"~sentinel";
/// Requests are few and the servers read at once.
const REQUEST_QUEUE: usize = 64;
/// What answers to progress requests carry instead of a watch's id.
const EVERY_WATCH: i64 = -1;

/// One thing a watch said.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The header's revision of the response that carried it.
    pub revision: i64,
    /// Whether it is the first of its response.
    pub first: bool,
    /// What it is.
    pub content: Content,
}

/// What a watch can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A key changed
    Event(Event),
    /// The watch ended
    Canceled {
        /// 0 unless it was cancelled because of a compaction
        compact_revision: i64,
        /// Mostly empty
        reason: String,
    },
}

/// Everything that a stream has said and that was not compared yet.
#[derive(Debug, Default)]
pub struct Log {
    /// Answers to creations.
    pub created: VecDeque<WatchResponse>,
    /// By the number of the creation.
    pub watches: Vec<VecDeque<Item>>,
    /// Revisions of the answers to progress requests.
    pub progress: VecDeque<i64>,
    /// The revision of the last event of the sentinel.
    pub sentinel: i64,
    /// Watches that a compaction ended: etcd keeps their ids, and answers no progress request, until the client
    /// cancels them too.
    pub compacted: BTreeSet<i64>,
    /// Rules that the server broke.
    pub broken: Option<String>,
    numbers: BTreeMap<i64, usize>,
    /// By the number of the creation: the last revision seen.
    seen: Vec<i64>,
    in_fragments: bool,
    with_events: usize,
}

impl Log {
    fn take(&mut self, response: WatchResponse) {
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        if response.created {
            if !response.canceled {
                self.numbers.insert(response.watch_id, self.watches.len());
                self.watches.push(VecDeque::new());
                self.seen.push(0);
            }
            return self.created.push_back(response);
        }
        // A client may give a watch the same id.
        if response.watch_id == EVERY_WATCH && response.events.is_empty() && !response.canceled {
            if self.seen.iter().any(|&seen| seen > revision) {
                self.broken = Some(format!("progress at {revision} after later events: {response:?}"));
            }
            return self.progress.push_back(revision);
        }
        let Some(&number) = self.numbers.get(&response.watch_id) else {
            self.broken = Some(format!("a response for an unknown watch: {response:?}"));
            return;
        };
        self.take_events(number, revision, response);
    }

    fn take_events(&mut self, number: usize, revision: i64, response: WatchResponse) {
        let mut first = !self.in_fragments;
        self.in_fragments = response.fragment;
        for event in response.events {
            let at = event.kv.mod_revision().0;
            if at < self.seen[number] || (first && at == self.seen[number]) || at > revision {
                let seen = self.seen[number];
                self.broken = Some(format!("event of {at} after {seen} under {revision}, new: {first}: {event:?}"));
            }
            self.seen[number] = at;
            if response.watch_id == SENTINEL_ID {
                self.sentinel = at;
            } else {
                self.watches[number].push_back(Item { revision, first, content: Content::Event(event) });
            }
            first = false;
        }
        if response.canceled {
            if response.compact_revision != 0 {
                self.compacted.insert(response.watch_id);
            }
            let content =
                Content::Canceled { compact_revision: response.compact_revision, reason: response.cancel_reason };
            self.watches[number].push_back(Item { revision, first: true, content });
        }
    }

    fn take_distorted(&mut self, response: WatchResponse, fault: Option<Fault>) {
        self.with_events += usize::from(!response.events.is_empty() && response.watch_id != SENTINEL_ID);
        match fault {
            Some(fault) if response.watch_id != SENTINEL_ID => {
                let responses = fault.distort_watch(response, self.with_events);
                responses.into_iter().for_each(|response| self.take(response));
            }
            _ => self.take(response),
        }
    }
}

/// One open watch stream.
pub struct WatchStream {
    requests: mpsc::Sender<WatchRequest>,
    log: Arc<Mutex<Log>>,
    reader: JoinHandle<()>,
}

impl WatchStream {
    /// Opens a stream, with the sentinel as its first watch. `changed` is told of every response.
    ///
    /// # Errors
    /// What the server answers instead of a stream.
    pub async fn open(client: &Client, changed: Arc<Notify>, fault: Option<Fault>) -> Result<Self, Status> {
        let (requests, queue) = mpsc::channel(REQUEST_QUEUE);
        let sentinel =
            WatchCreateRequest { key: SENTINEL_KEY.into(), watch_id: SENTINEL_ID, ..WatchCreateRequest::default() };
        // The server may answer nothing before it has read a request.
        let _ = requests.try_send(request(RequestUnion::CreateRequest(sentinel)));
        let responses = client.watch.clone().watch(ReceiverStream::new(queue)).await?.into_inner();
        let log = Arc::new(Mutex::new(Log::default()));
        let reader = tokio::spawn(read(responses, log.clone(), changed, fault));
        Ok(Self { requests, log, reader })
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> &Mutex<Log> {
        &self.log
    }

    /// Asks for a watch.
    pub async fn create(&self, create: WatchCreateRequest) {
        self.send(RequestUnion::CreateRequest(create)).await;
    }

    /// Asks for the end of a watch.
    pub async fn cancel(&self, watch_id: i64) {
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id })).await;
    }

    /// Asks how far the stream is.
    pub async fn progress(&self) {
        self.send(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
    }

    async fn send(&self, union: RequestUnion) {
        // The end of the stream is in the log as a broken rule.
        let _ = self.requests.send(request(union)).await;
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

const fn request(union: RequestUnion) -> WatchRequest {
    WatchRequest { request_union: Some(union) }
}

async fn read(
    mut responses: Streaming<WatchResponse>,
    log: Arc<Mutex<Log>>,
    changed: Arc<Notify>,
    fault: Option<Fault>,
) {
    loop {
        match responses.message().await {
            Ok(Some(response)) => log.lock().take_distorted(response, fault),
            end => {
                log.lock().broken = Some(format!("the stream ended: {end:?}"));
                changed.notify_waiters();
                return;
            }
        }
        changed.notify_waiters();
    }
}
