//! What waits for the driver. Everything queued while it worked is taken at once, so under load nothing wakes a
//! thread per request and what came together is logged together.

use std::time::Instant;

use internal_proto::{Command, Error, MemberId, Write};
use parking_lot::{Condvar, Mutex};
use raft::eraftpb::Message;
use tokio::sync::oneshot;

use super::apply_stage::Returned;
use super::barriers::{BarrierResponder, MAX_WAITING};
use super::log_stage::LogEvent;
use super::snapshot::{Ahead, Loaded, Transfer};
use super::transport::{Content, PeerMessage};
use crate::engine::checkpoint::{CheckpointError, Staging};
use crate::log::{LogError, Spare};
use crate::storage::{Durable, SaveError, StorageError};

/// Bytes of writes that may wait: about a second of what a fast disk takes.
const MAX_WAITING_BYTES: usize = 256 << 20;
/// Writes that may wait, whatever their size.
const MAX_WAITING_WRITES: usize = 100_000;
/// Messages of peers that may wait; raft sends again what is dropped.
const MAX_WAITING_MESSAGES: usize = 10_000;
/// Notices that may wait; what they tell of is told again.
const MAX_WAITING_NOTICES: usize = 1_000;
/// Messages about snapshots that may wait, a piece of one in each; they are sent again, too.
const MAX_WAITING_TRANSFERS: usize = 32;

/// What has come in since the driver last looked.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// Commands to log, in order of arrival.
    pub(crate) writes: Vec<Write>,
    /// Barriers asked for.
    pub(crate) barriers: Vec<BarrierResponder>,
    /// From peers.
    pub(crate) messages: Vec<Message>,
    /// About snapshots, from peers.
    pub(crate) transfers: Vec<Transfer>,
    /// From this node's surroundings.
    pub(crate) notices: Vec<Notice>,
    /// A stage's result that needs the driver itself.
    pub(crate) events: Vec<StageEvent>,
    /// Whether the node is to stop.
    pub(crate) stop: bool,
    weight: usize,
}

/// What a node's surroundings tell it or ask of it.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Messages to this peer were lost.
    Unreachable(MemberId),
    /// This peer's process has ended.
    Gone(MemberId),
    /// Have the leader log this, whoever it is; nobody waits for an answer.
    Forward(Command),
    /// Give leadership away; dropped when that is over.
    HandOver(oneshot::Sender<()>),
}

/// What work on another thread reports.
pub(crate) enum StageEvent {
    /// A spare segment for the log is there, or there is no disk space for one.
    Spare(Result<Spare, LogError>),
    /// The engine is durable through this index: the log below can go.
    Checkpointed(Result<Durable, SaveError>),
    /// The compaction worker has nothing more to do.
    Compacted,
    /// A part of a snapshot for a follower was read.
    SnapshotRead(Box<Ahead>),
    /// A part of a snapshot for this member was written.
    SnapshotWritten(Result<Staging, CheckpointError>),
    /// All of it is durable, and loaded into an engine beside the one in use.
    SnapshotLoaded(Result<Box<Loaded>, StorageError>),
    /// What became of tasks of the log.
    Log(LogEvent),
    /// An entry was applied on a thread.
    Applied(Returned),
}

/// Whether the driver has use for writes: those that it cannot propose yet wait here, where they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// It takes them.
    Take,
    /// They stay.
    Leave,
}

/// The driver's queue.
#[derive(Default)]
pub(crate) struct Inbox {
    arrivals: Mutex<Arrivals>,
    arrived: Condvar,
}

impl Arrivals {
    fn is_empty(&self, writes: Writes) -> bool {
        (self.writes.is_empty() || writes == Writes::Leave)
            && self.barriers.is_empty()
            && self.messages.is_empty()
            && self.transfers.is_empty()
            && self.notices.is_empty()
            && self.events.is_empty()
            && !self.stop
    }
}

impl Inbox {
    /// Queues writes. Those that find the queue full are answered `TooManyRequests`, those after the end `Stopped`.
    pub(crate) fn submit(&self, writes: Vec<Write>) {
        let mut refused = Vec::new();
        let mut arrivals = self.arrivals.lock();
        for write in writes {
            if arrivals.stop {
                refused.push((write, Error::Stopped));
            } else if arrivals.weight > MAX_WAITING_BYTES || arrivals.writes.len() >= MAX_WAITING_WRITES {
                refused.push((write, Error::TooManyRequests));
            } else {
                arrivals.weight += write.command.weight();
                arrivals.writes.push(write);
            }
        }
        drop(arrivals);
        self.arrived.notify_one();
        for (write, error) in refused {
            write.respond.send(Err(error));
        }
    }

    /// Queues a barrier.
    pub(crate) fn barrier(&self, responder: BarrierResponder) {
        let mut arrivals = self.arrivals.lock();
        let refusal = if arrivals.stop {
            Error::Stopped
        } else if arrivals.barriers.len() >= MAX_WAITING {
            Error::TooManyRequests
        } else {
            arrivals.barriers.push(responder);
            drop(arrivals);
            self.arrived.notify_one();
            return;
        };
        drop(arrivals);
        let _ = responder.send(Err(refusal));
    }

    /// Queues a peer's message, or drops it: at the end, too, so that there is one.
    pub(crate) fn deliver(&self, message: PeerMessage) {
        let mut arrivals = self.arrivals.lock();
        match message.0 {
            _ if arrivals.stop => return,
            Content::Raft(message) if arrivals.messages.len() < MAX_WAITING_MESSAGES => arrivals.messages.push(message),
            Content::Snapshot(transfer) if arrivals.transfers.len() < MAX_WAITING_TRANSFERS => {
                arrivals.transfers.push(transfer);
            }
            _ => return,
        }
        drop(arrivals);
        self.arrived.notify_one();
    }

    /// Queues a notice, or drops it.
    pub(crate) fn notice(&self, notice: Notice) {
        let mut arrivals = self.arrivals.lock();
        if !arrivals.stop && arrivals.notices.len() < MAX_WAITING_NOTICES {
            arrivals.notices.push(notice);
            drop(arrivals);
            self.arrived.notify_one();
        }
    }

    /// Queues what a stage reports.
    pub(crate) fn report(&self, event: StageEvent) {
        self.arrivals.lock().events.push(event);
        self.arrived.notify_one();
    }

    /// Asks the driver to stop once it has handled what is queued.
    pub(crate) fn stop(&self) {
        self.arrivals.lock().stop = true;
        self.arrived.notify_one();
    }

    /// Waits until something is queued that the driver takes, or the time has come.
    pub(crate) fn wait(&self, until: Instant, writes: Writes) {
        let mut arrivals = self.arrivals.lock();
        if arrivals.is_empty(writes) {
            self.arrived.wait_until(&mut arrivals, until);
        }
    }

    /// Takes all that is queued; `taken` gives its emptied room in exchange.
    pub(crate) fn take(&self, taken: &mut Arrivals, writes: Writes) {
        let mut arrivals = self.arrivals.lock();
        let (stop, weight) = (arrivals.stop, arrivals.weight);
        std::mem::swap(&mut *arrivals, taken);
        arrivals.stop = stop;
        arrivals.weight = 0;
        if writes == Writes::Leave {
            std::mem::swap(&mut arrivals.writes, &mut taken.writes);
            arrivals.weight = weight;
        }
    }
}
