//! The hub's tasks: one per gateway, which sends batches and reads history for feeds that fell behind.

use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Error, KeyRange, Revision, Stamp, WatchBatch, WatchCommand, WatchLink};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::core::{Core, Due, LinkId, Outcome, Read};
use super::link::MAX_PENDING_BYTES;
use crate::state::{ChangePage, Reader};

/// The longest that a gateway waits to hear that the revision moved, while nothing happens in its ranges.
const THROUGH_INTERVAL: Duration = Duration::from_millis(100);
/// Commands on the way from a gateway; it holds back what does not fit.
const COMMAND_QUEUE: usize = 1024;
/// Batches on the way to a gateway: what comes later gathers in the link, bounded in bytes.
const BATCH_QUEUE: usize = 1;
/// One page of history, unless a single revision is larger: small beside what may wait for a link, and enough for the
/// thousand revisions that etcd sends in one response.
const PAGE_BYTES: usize = 512 << 10;

/// Where a watcher that is behind finds its events.
pub trait History: Send + Sync + 'static {
    /// The store's revision, term and auth revision now.
    fn stamp(&self) -> Stamp;

    /// The compacted revision.
    fn compacted(&self) -> Revision;

    /// One page of the changes in a range: as [`Reader::changes`].
    ///
    /// # Errors
    /// [`Error::Compacted`] when `from` is below the compacted revision.
    fn changes(&self, range: &KeyRange, from: Revision, max_bytes: usize) -> Result<ChangePage, Error>;
}

impl History for Reader {
    fn stamp(&self) -> Stamp {
        Stamp { revision: self.revision(), term: self.applied().1, auth: self.auth(), ..Stamp::default() }
    }

    fn compacted(&self) -> Revision {
        Self::compacted(self)
    }

    fn changes(&self, range: &KeyRange, from: Revision, max_bytes: usize) -> Result<ChangePage, Error> {
        Self::changes(self, range, from, max_bytes)
    }
}

/// Tells gateways what happens to the ranges they watch. A clone is the same hub.
#[derive(Clone)]
pub struct Hub {
    core: Arc<Mutex<Core>>,
    history: Arc<dyn History>,
}

/// How much the hub has to do, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gateways connected.
    pub links: usize,
    /// Feeds of all gateways.
    pub feeds: usize,
    /// Feeds that have not caught up.
    pub lagging: usize,
}

impl Hub {
    /// A hub of a store that is not applying yet: every later revision must be published.
    pub fn new(history: impl History) -> Self {
        let core = Core::new(history.stamp(), history.compacted());
        Self { core: Arc::new(Mutex::new(core)), history: Arc::new(history) }
    }

    /// Publishes what one entry changed, in the order of entries, once the engine has it and before anyone is
    /// answered. An entry without changes is published too: its stamp may carry a new term. Never waits for a gateway.
    pub fn publish(&self, stamp: Stamp, changes: &[crate::state::Changes], compacted: Option<Revision>) {
        self.core.lock().publish(stamp, changes, compacted);
    }

    /// The history now is another member's, which reaches further than what was published: see [`Hub::publish`].
    pub fn leap(&self, stamp: Stamp, compacted: Revision) {
        self.core.lock().leap(stamp, compacted);
    }

    /// Connects a gateway. Must be called within a tokio runtime; the link lives until an end of it is dropped.
    pub fn link(&self) -> WatchLink {
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (batch_queue, batches) = mpsc::channel(BATCH_QUEUE);
        let (id, wake) = self.core.lock().open_link();
        let task = LinkTask { hub: self.clone(), id, wake, reading: None, last_batch: Instant::now() };
        tokio::spawn(task.run(command_queue, batch_queue));
        WatchLink { commands, batches }
    }

    /// How much the hub has to do.
    pub fn counts(&self) -> Counts {
        let (links, feeds, lagging) = self.core.lock().counts();
        Counts { links, feeds, lagging }
    }
}

/// Serves one link.
struct LinkTask {
    hub: Hub,
    id: LinkId,
    wake: Arc<Notify>,
    reading: Option<JoinHandle<Vec<(Read, Outcome)>>>,
    last_batch: Instant,
}

impl LinkTask {
    async fn run(mut self, mut commands: mpsc::Receiver<WatchCommand>, batches: mpsc::Sender<WatchBatch>) {
        while self.step(&mut commands, &batches).await.is_some() {}
        self.hub.core.lock().close_link(self.id);
    }

    /// Does the next thing; `None` once an end of the link is gone.
    async fn step(
        &mut self,
        commands: &mut mpsc::Receiver<WatchCommand>,
        batches: &mpsc::Sender<WatchBatch>,
    ) -> Option<()> {
        self.start_reads();
        let due = self.hub.core.lock().due(self.id);
        let through_at = self.last_batch + THROUGH_INTERVAL;
        let send = due == Due::Now || (due == Due::Soon && through_at <= Instant::now());
        tokio::select! {
            biased;
            command = commands.recv() => {
                let mut core = self.hub.core.lock();
                core.command(self.id, command?);
                while let Ok(command) = commands.try_recv() {
                    core.command(self.id, command);
                }
            }
            read = finished(&mut self.reading), if self.reading.is_some() => {
                self.reading = None;
                let mut core = self.hub.core.lock();
                for (read, outcome) in read? {
                    core.finish(self.id, read, outcome);
                }
            }
            permit = batches.reserve(), if send => {
                permit.ok()?.send(self.hub.core.lock().take(self.id)?);
                self.last_batch = Instant::now();
            }
            () = batches.closed() => return None,
            () = self.wake.notified() => {}
            () = tokio::time::sleep_until(through_at), if due == Due::Soon && !send => {}
        }
        Some(())
    }

    fn start_reads(&mut self) {
        if self.reading.is_some() {
            return;
        }
        let reads = self.hub.core.lock().next_reads(self.id);
        if !reads.is_empty() {
            let history = Arc::clone(&self.hub.history);
            self.reading = Some(tokio::task::spawn_blocking(move || read_all(&*history, reads)));
        }
    }
}

/// What was read; `None` if the read panicked, which ends the link.
async fn finished(reading: &mut Option<JoinHandle<Vec<(Read, Outcome)>>>) -> Option<Vec<(Read, Outcome)>> {
    match reading {
        Some(handle) => handle.await.ok(),
        None => Some(Vec::new()),
    }
}

/// Does reads until what they gave would fill a batch.
fn read_all(history: &dyn History, reads: Vec<Read>) -> Vec<(Read, Outcome)> {
    let mut bytes = 0;
    let mut done = Vec::with_capacity(reads.len());
    for read in reads {
        let outcome = if bytes >= MAX_PENDING_BYTES {
            Outcome::NotDone
        } else {
            match history.changes(&read.range, read.next, PAGE_BYTES) {
                Ok(page) => Outcome::Read(page),
                Err(_) => Outcome::Compacted(history.compacted()),
            }
        };
        if let Outcome::Read(page) = &outcome {
            let events = page.changes.iter().flat_map(|changes| &changes.events);
            bytes += events.map(super::recent::event_bytes).sum::<usize>();
        }
        done.push((read, outcome));
    }
    done
}
