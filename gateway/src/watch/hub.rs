//! The hub as protocols see it, and a client stream's two ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use internal_proto::{MemberId, Revision, Stamp, Store, Term};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::exchange::{Output, StreamRequest};
use super::feeds::MAX_OWN;
use super::state::State;
use super::stream::{Step, Stream};
use super::upstream;
use crate::router::Floor;

/// All watches of this gateway.
pub struct Hub {
    shared: Arc<Shared>,
    upstream: JoinHandle<()>,
}

/// What the hub, its task and its streams share.
///
/// Locks are taken in the order state, stream, ring, source.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) floor: Arc<Floor>,
    /// All live feeds are complete through here.
    through: AtomicI64,
    /// The node that feeds the hub, and its term.
    member: AtomicU64,
    term: AtomicU64,
    /// Tells the upstream task that commands wait.
    pub(super) wake: Notify,
    streams: AtomicUsize,
}

/// How much the hub has to do, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Client streams.
    pub streams: usize,
    /// Watches of all streams.
    pub watches: usize,
    /// Watches that are behind and read history.
    pub slow_watches: usize,
    /// Distinct ranges watched, with and without the versions before.
    pub ranges: usize,
    /// Those of them that covering feeds serve.
    pub covered: usize,
    /// Feeds from the node.
    pub feeds: usize,
}

impl Hub {
    /// A hub over a store. Must be called within a tokio runtime; the hub's task ends with the hub.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, floor: Arc<Floor>) -> Self {
        Self::with_own_feeds(store, floor, MAX_OWN)
    }

    /// As [`Hub::new`]; so many ranges at most get a feed of their own from the node, the ranges beyond share one.
    #[must_use]
    pub fn with_own_feeds(store: Arc<dyn Store>, floor: Arc<Floor>, max_own: usize) -> Self {
        let shared = Arc::new(Shared::new(floor, max_own));
        let upstream = tokio::spawn(upstream::run(store, Arc::clone(&shared)));
        Self { shared, upstream }
    }

    /// Opens a client stream: what it sends, and the way in for its requests.
    #[must_use]
    pub fn open(&self) -> (WatchStream, Requests) {
        Shared::open(&self.shared)
    }

    /// How much the hub has to do.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.shared.state.lock().feeds.counts();
        counts.streams = self.shared.streams.load(Ordering::Relaxed);
        counts
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.upstream.abort();
    }
}

impl Shared {
    pub(super) fn new(floor: Arc<Floor>, max_own: usize) -> Self {
        Self {
            state: Mutex::new(State::new(max_own)),
            floor,
            through: AtomicI64::new(0),
            member: AtomicU64::new(0),
            term: AtomicU64::new(0),
            wake: Notify::new(),
            streams: AtomicUsize::new(0),
        }
    }

    pub(super) fn open(shared: &Arc<Self>) -> (WatchStream, Requests) {
        shared.streams.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(Stream::default());
        let requests = Requests { shared: Arc::clone(shared), stream: Arc::clone(&stream) };
        (WatchStream { shared: Arc::clone(shared), stream }, requests)
    }

    pub(super) fn publish_through(&self, through: Revision, stamp: Stamp) {
        self.member.store(stamp.member.0, Ordering::Relaxed);
        self.term.store(stamp.term.0, Ordering::Relaxed);
        self.through.store(through.0, Ordering::Release);
    }
}

/// What a client stream sends. Dropping it ends the stream's watches.
pub struct WatchStream {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
}

impl WatchStream {
    /// The next output; `None` after [`Requests::end`].
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Output>> {
        self.stream.waker.register(context.waker());
        loop {
            match self.step() {
                Step::Output(output) => return Poll::Ready(Some(output)),
                Step::Ended => return Poll::Ready(None),
                Step::Idle => return Poll::Pending,
                Step::Read(request) => {
                    self.shared.state.lock().read(&self.stream, request);
                    self.shared.wake.notify_one();
                }
            }
        }
    }

    fn step(&self) -> Step {
        // Read first: what happened up to here is in the rings before the stream is looked at.
        let through = Revision(self.shared.through.load(Ordering::Acquire));
        let mut state = self.stream.state.lock();
        let was_full = state.is_full();
        let step = state.poll(through);
        let (released, drained) = (std::mem::take(&mut state.released), was_full && !state.is_full());
        drop(state);
        if drained {
            self.stream.drained.notify_one();
        }
        if !released.is_empty() {
            let mut hub = self.shared.state.lock();
            for feed in released {
                hub.feeds.detach(feed, &self.stream);
            }
            self.shared.wake.notify_one();
        }
        if let Step::Output(output) = &step {
            self.shared.floor.raise(output.revision());
        }
        step
    }

    /// The node that feeds the hub and its raft term, for headers; the revision is in each output.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let (member, term) = (&self.shared.member, &self.shared.term);
        Stamp {
            member: MemberId(member.load(Ordering::Relaxed)),
            term: Term(term.load(Ordering::Relaxed)),
            ..Stamp::default()
        }
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.shared.state.lock().close(&self.stream);
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
        self.stream.drained.notify_one();
        self.shared.wake.notify_one();
    }
}

/// The way in for a stream's requests.
pub struct Requests {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
}

impl Requests {
    /// Hands a request over, in order. Never waits.
    pub fn push(&self, request: StreamRequest) {
        let mut state = self.stream.state.lock();
        if state.ended {
            return;
        }
        state.requests.push_back(request);
        if std::mem::replace(&mut state.asked, true) {
            return;
        }
        drop(state);
        self.shared.state.lock().ask(&self.stream);
        self.shared.wake.notify_one();
    }

    /// Waits until the stream may hold more, after its client sent very much and read nothing.
    pub async fn ready(&self) {
        loop {
            let drained = self.stream.drained.notified();
            if self.stream.state.lock().takes_requests() {
                return;
            }
            drained.await;
        }
    }

    /// Ends the stream: it sends nothing more.
    pub fn end(&self) {
        self.stream.state.lock().ended = true;
        self.stream.waker.wake();
    }
}
