//! The hub's task: holds the link to a node, and opens the next one when it drops.
//!
//! ```text
//!  link ──drops──► resume: feeds from where they are complete, pages and Now again ──► next link
//! ```

use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Revision, Store, WatchBatch, WatchLink};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep, sleep_until};

use super::hub::Shared;
use super::state::Received;

/// Between the end of a link and the next one: short beside an election, long beside a failed call.
const RECONNECT_DELAY: Duration = Duration::from_millis(20);
/// How long creations wait for a node that has reached what this gateway has shown.
const FLOOR_PATIENCE: Duration = Duration::from_secs(1);
/// Between two questions to a node that has not.
const FLOOR_RETRY: Duration = Duration::from_millis(10);
/// Room for so many commands stays when there are none.
const IDLE_COMMANDS: usize = 1024;

/// Serves the hub until its task is aborted.
pub(super) async fn run(store: Arc<dyn Store>, shared: Arc<Shared>) {
    loop {
        let mut link = store.watch();
        shared.state.lock().resume();
        let mut upstream = Upstream { shared: &shared, impatient_at: None, retry_at: None };
        while upstream.step(&mut link).await.is_some() {}
        sleep(RECONNECT_DELAY).await;
    }
}

struct Upstream<'a> {
    shared: &'a Shared,
    /// When the creations that wait for a fresher node stop waiting.
    impatient_at: Option<Instant>,
    /// When to ask a node again that was not fresh enough.
    retry_at: Option<Instant>,
}

impl Upstream<'_> {
    /// Does the next thing; `None` once the link is gone.
    async fn step(&mut self, link: &mut WatchLink) -> Option<()> {
        let has_commands = !self.shared.state.lock().outbox().is_empty();
        tokio::select! {
            batch = link.batches.recv() => self.receive(batch?),
            permit = link.commands.reserve(), if has_commands => {
                drop(permit.ok()?);
                self.send(link);
            }
            () = self.shared.wake.notified() => {}
            () = sleep_until(self.retry_at.unwrap_or_else(Instant::now)), if self.retry_at.is_some() => {
                self.retry_at = None;
                self.shared.state.lock().repeat_now();
            }
        }
        Some(())
    }

    /// Sends as many commands as the link takes; the rest waits for room.
    fn send(&self, link: &WatchLink) {
        let mut state = self.shared.state.lock();
        let outbox = state.outbox();
        while let Some(command) = outbox.pop_front() {
            match link.commands.try_send(command) {
                Ok(()) => {}
                Err(TrySendError::Full(command)) => return outbox.push_front(command),
                Err(TrySendError::Closed(_)) => return,
            }
        }
        outbox.shrink_to(IDLE_COMMANDS);
    }

    fn receive(&mut self, batch: WatchBatch) {
        let patient = self.impatient_at.is_none_or(|at| Instant::now() < at);
        let floor = if patient { self.shared.floor.get() } else { Revision(0) };
        let stamp = batch.stamp;
        let publish_through = |through| self.shared.publish_through(through, stamp);
        let received = self.shared.state.lock().receive(batch, floor, publish_through);
        match received {
            Received::Done => self.impatient_at = None,
            Received::Stale => {
                let now = Instant::now();
                self.impatient_at.get_or_insert(now + FLOOR_PATIENCE);
                self.retry_at.get_or_insert(now + FLOOR_RETRY);
            }
        }
    }
}
