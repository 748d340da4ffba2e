//! What a server says has happened, read off a watch: once, or as long as it goes on.
//!
//! ```text
//!  watch from a revision ─► changes ─┬─► all through a revision, then done
//!                                    └─► Follower: as they come, until the stream ends, which it should not
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use internal_proto::{Event, EventKind};
use parking_lot::Mutex;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Change;
use crate::client::Client;

/// For a watch to bring what has happened; far more than it takes.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// The revision that a linearizable read sees.
///
/// # Errors
/// The server's.
pub async fn current(client: &Client) -> Result<i64, Status> {
    let request = RangeRequest { key: b"none".as_slice().into(), ..RangeRequest::default() };
    let answer = client.kv.clone().range(request).await?.into_inner();
    Ok(answer.header.map_or(0, |header| header.revision))
}

/// All changes from a revision through another.
///
/// # Errors
/// What ends the watch before.
pub async fn changes(client: &Client, from: i64, through: i64) -> Result<Vec<Change>, Status> {
    let mut changes = Vec::new();
    if from > through {
        return Ok(changes);
    }
    let mut watch = watch(client, from).await?;
    while changes.last().is_none_or(|change: &Change| change.revision < through) {
        changes.extend(next(&mut watch).await?);
    }
    Ok(changes)
}

/// One watch of everything that goes on.
pub struct Follower {
    changes: Arc<Mutex<Vec<Change>>>,
    task: JoinHandle<Status>,
}

impl Follower {
    /// Watches from a revision on.
    ///
    /// # Errors
    /// When there is no watch.
    pub async fn start(client: &Client, from: i64) -> Result<Self, Status> {
        let mut watch = watch(client, from).await?;
        let changes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&changes);
        let task = tokio::spawn(async move {
            loop {
                match next(&mut watch).await {
                    Ok(changes) => seen.lock().extend(changes),
                    Err(status) => return status,
                }
            }
        });
        Ok(Self { changes, task })
    }

    /// Waits for the end of the stream; everything that it has brought.
    pub async fn ended(self) -> Vec<Change> {
        // It ends with a status, whichever.
        let _ = self.task.await;
        std::mem::take(&mut *self.changes.lock())
    }

    /// Waits until the watch has come so far, and ends it; everything that it has brought.
    ///
    /// # Errors
    /// When it ended before, or does not come so far in time.
    pub async fn finish(self, through: i64) -> Result<Vec<Change>, Status> {
        let deadline = Instant::now() + DEADLINE;
        while self.changes.lock().last().is_none_or(|change| change.revision < through) {
            if self.task.is_finished() || Instant::now() > deadline {
                let last = self.changes.lock().last().cloned();
                self.task.abort();
                let reason = self.task.await.map_or_else(|_| "it is late".to_owned(), |status| status.to_string());
                return Err(Status::aborted(format!("the watch came to {last:?}, not to {through}: {reason}")));
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let ended = self.task.is_finished();
        self.task.abort();
        if ended { Err(Status::aborted("the watch has ended")) } else { Ok(std::mem::take(&mut *self.changes.lock())) }
    }
}

/// An open watch. With the requests, dropped, also the stream ends: its connection is free to close.
struct Watch {
    responses: Streaming<WatchResponse>,
    _requests: mpsc::Sender<WatchRequest>,
}

async fn watch(client: &Client, from: i64) -> Result<Watch, Status> {
    let everything: bytes::Bytes = vec![0].into();
    let create = WatchCreateRequest {
        key: everything.clone(),
        range_end: everything,
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let (requests, sent) = mpsc::channel(1);
    requests.try_send(request).map_err(|error| Status::internal(error.to_string()))?;
    let responses = client.watch.clone().watch(ReceiverStream::new(sent)).await?.into_inner();
    Ok(Watch { responses, _requests: requests })
}

async fn next(watch: &mut Watch) -> Result<Vec<Change>, Status> {
    let response = watch.responses.message().await?.ok_or_else(|| Status::aborted("the server ended the stream"))?;
    if response.canceled {
        return Err(Status::aborted(format!("the watch was canceled: {response:?}")));
    }
    Ok(response.events.iter().map(change).collect())
}

fn change(event: &Event) -> Change {
    let fields = event.kv.fields();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = (event.kind == EventKind::Put).then(|| text(fields.value));
    Change { revision: fields.mod_revision.0, key: text(fields.key), value }
}
