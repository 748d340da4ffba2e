//! A link between the hubs that can be slow and can drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use internal_proto::{
    Answer, Barrier, Error, Freshness, MemberId, Reply, Request, Standing, Store, WatchBatch, WatchCommand, WatchLink,
    Write,
};
use tokio::sync::{Notify, mpsc, watch};

#[derive(Default)]
pub(super) struct Faults {
    paused: AtomicBool,
    generation: AtomicU64,
    changed: Notify,
}

impl Faults {
    /// What is on the way over the present link is lost.
    pub(super) fn drop_link(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Batches stay where they are.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}

/// A node of which nothing but watches is asked.
pub(super) struct NodeStore {
    pub(super) hub: storenode::watch::Hub,
    pub(super) faults: Arc<Faults>,
}

impl Store for NodeStore {
    fn member(&self) -> MemberId {
        MemberId(1)
    }

    fn submit(&self, _writes: Vec<Write>) {}

    fn barrier(&self) -> Reply<Result<Barrier, Error>> {
        Reply::ready(Err(Error::Stopped))
    }

    fn query(&self, _request: Request, _freshness: Freshness) -> Reply<Result<Answer, Error>> {
        Reply::ready(Err(Error::Stopped))
    }

    fn watch(&self) -> WatchLink {
        let (commands, command_queue) = mpsc::channel(4);
        let (batch_queue, batches) = mpsc::channel(1);
        tokio::spawn(forward(self.hub.link(), Arc::clone(&self.faults), command_queue, batch_queue));
        WatchLink { commands, batches }
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        watch::channel(Standing { reachable: true, ..Standing::default() }).1
    }
}

async fn forward(
    mut node: WatchLink,
    faults: Arc<Faults>,
    mut commands: mpsc::Receiver<WatchCommand>,
    batches: mpsc::Sender<WatchBatch>,
) {
    let generation = faults.generation.load(Ordering::Relaxed);
    loop {
        let changed = faults.changed.notified();
        if faults.generation.load(Ordering::Relaxed) != generation {
            return;
        }
        let running = !faults.paused.load(Ordering::Relaxed);
        tokio::select! {
            () = changed => {}
            command = commands.recv() => {
                let Some(command) = command else { return };
                if node.commands.send(command).await.is_err() {
                    return;
                }
            }
            permit = batches.reserve(), if running => {
                let Ok(permit) = permit else { return };
                // The permit waits with us: what the node sends next goes through, or is lost with the link.
                let changed = faults.changed.notified();
                tokio::select! {
                    batch = node.batches.recv() => match batch {
                        Some(batch) => permit.send(batch),
                        None => return,
                    },
                    () = changed => {}
                    command = commands.recv() => {
                        let Some(command) = command else { return };
                        if node.commands.send(command).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}
