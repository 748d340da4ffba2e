//! What the driver shows of itself to readers on other threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use internal_proto::{LogIndex, MemberId, Standing};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::core::Role;

/// Written by the driver, read by everybody.
#[derive(Debug)]
pub(crate) struct Shared {
    member: MemberId,
    role: Mutex<Role>,
    standing: watch::Sender<Standing>,
    committed: AtomicU64,
    /// Whether this node leads, is the only voter, and has applied an entry of its term. While that is so nobody else
    /// can have acknowledged anything, and all that was acknowledged is applied here: a barrier needs no round.
    sole_leader: AtomicBool,
    applied: watch::Sender<LogIndex>,
    failed: watch::Sender<Option<String>>,
}

impl Shared {
    /// For a node that has applied so far.
    pub(crate) fn new(member: MemberId, applied: LogIndex) -> Self {
        Self {
            member,
            role: Mutex::default(),
            standing: watch::Sender::new(Standing { reachable: true, ..Standing::default() }),
            committed: AtomicU64::new(applied.0),
            sole_leader: AtomicBool::new(false),
            applied: watch::Sender::new(applied),
            failed: watch::Sender::new(None),
        }
    }

    /// This node.
    pub(crate) const fn member(&self) -> MemberId {
        self.member
    }

    /// This node's part in the cluster.
    pub(crate) fn role(&self) -> Role {
        *self.role.lock()
    }

    pub(super) fn set_role(&self, role: Role) {
        *self.role.lock() = role;
        self.standing.send_replace(Standing { reachable: true, leader: role.leader, term: role.term });
    }

    /// Tells who leads.
    pub(crate) fn watch_standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The last index known to be committed.
    pub(crate) fn committed(&self) -> LogIndex {
        LogIndex(self.committed.load(Ordering::Relaxed))
    }

    pub(super) fn set_committed(&self, index: LogIndex) {
        self.committed.store(index.0, Ordering::Relaxed);
    }

    /// Whether a barrier needs no round.
    pub(crate) fn is_sole_leader(&self) -> bool {
        self.sole_leader.load(Ordering::Acquire)
    }

    pub(super) fn set_sole_leader(&self, sole: bool) {
        self.sole_leader.store(sole, Ordering::Release);
    }

    pub(super) fn set_applied(&self, index: LogIndex) {
        self.applied.send_replace(index);
    }

    /// Tells of every index applied.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<LogIndex> {
        self.applied.subscribe()
    }

    /// Tells why the node stopped, if it did not stop as asked.
    pub(crate) fn watch_failed(&self) -> watch::Receiver<Option<String>> {
        self.failed.subscribe()
    }

    /// Notes why the node stops. The first reason stays: what follows is its consequence.
    pub(crate) fn set_failed(&self, reason: String) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                *failed = Some(reason);
            }
            first
        });
    }
}
