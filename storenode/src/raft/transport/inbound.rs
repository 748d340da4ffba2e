//! Which peers are connected to this node, and with which of their processes.
//!
//! Invariant: two processes never speak for one member at a time. Their logs differ, and raft would count two votes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use internal_proto::MemberId;
use parking_lot::Mutex;

/// The streams of all peers.
#[derive(Debug, Default)]
pub(crate) struct Inbound(Mutex<BTreeMap<MemberId, Connected>>);

#[derive(Debug)]
struct Connected {
    /// Drawn by the peer's process.
    boot: u64,
    streams: usize,
}

/// Counts as a stream until it is dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    inbound: Arc<Inbound>,
    member: MemberId,
}

impl Inbound {
    /// Counts a stream of a member's process; `None` while another process speaks for it.
    pub(crate) fn open(self: &Arc<Self>, member: MemberId, boot: u64) -> Option<Stream> {
        let mut members = self.0.lock();
        let connected = members.entry(member).or_insert(Connected { boot, streams: 0 });
        if connected.boot != boot {
            return None;
        }
        connected.streams += 1;
        Some(Stream { inbound: Arc::clone(self), member })
    }

    /// Whether a process speaks for the member.
    pub(crate) fn is_connected(&self, member: MemberId) -> bool {
        self.0.lock().contains_key(&member)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Entry::Occupied(mut connected) = self.inbound.0.lock().entry(self.member) {
            connected.get_mut().streams -= 1;
            if connected.get().streams == 0 {
                connected.remove();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MEMBER: MemberId = MemberId(7);

    #[test]
    fn one_process_speaks_for_a_member() {
        let inbound = Arc::new(Inbound::default());
        let [first, second] = [0, 1].map(|_| inbound.open(MEMBER, 1).unwrap());
        assert!(inbound.open(MEMBER, 2).is_none());
        drop(first);
        assert!(inbound.open(MEMBER, 2).is_none());
        drop(second);
        assert!(!inbound.is_connected(MEMBER));
        let _restarted = inbound.open(MEMBER, 2).unwrap();
        assert!(inbound.is_connected(MEMBER));
    }
}
