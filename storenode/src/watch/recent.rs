//! The latest revisions in memory, so that a watcher a few revisions behind joins without reading the engine.
//!
//! Without it, a watcher that catches up while others write would always find newer revisions when its read is done.

use std::collections::VecDeque;

use internal_proto::{Event, Revision};

use crate::state::Changes;

/// Revisions kept: at 30,000 writes a second, what passes while a read waits for a thread and runs.
const MAX_REVISIONS: usize = 1024;
/// Bytes of events kept. Most are in the engine as well, which shares their allocations.
const MAX_BYTES: usize = 4 << 20;

/// A bounded tail of the history.
#[derive(Debug)]
pub(super) struct Recent {
    revisions: VecDeque<Changes>,
    bytes: usize,
    /// Complete above this revision.
    floor: Revision,
}

impl Recent {
    pub(super) const fn new(current: Revision) -> Self {
        Self { revisions: VecDeque::new(), bytes: 0, floor: current }
    }

    pub(super) fn push(&mut self, changes: &Changes) {
        if exceeds(changes, MAX_BYTES) {
            // It would take the place of all others and not stay either: not even copied, as it may be huge.
            *self = Self::new(changes.revision);
            return;
        }
        self.bytes += size(changes);
        self.revisions.push_back(changes.clone());
        while self.revisions.len() > MAX_REVISIONS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.revisions.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.floor = oldest.revision;
        }
    }

    /// Everything from a revision on, if all of it is still here.
    pub(super) fn since(&self, next: Revision) -> Option<impl Iterator<Item = &Changes>> {
        let first = self.revisions.partition_point(|changes| changes.revision < next);
        (next > self.floor).then(|| self.revisions.range(first..))
    }
}

fn size(changes: &Changes) -> usize {
    changes.events.iter().map(event_bytes).sum()
}

/// Whether changes weigh more than a bound, without looking at all of them.
fn exceeds(changes: &Changes, bound: usize) -> bool {
    let mut bytes = 0;
    changes.events.iter().any(|event| {
        bytes += event_bytes(event);
        bytes > bound
    })
}

/// What an event weighs in the bounds.
pub(super) fn event_bytes(event: &Event) -> usize {
    size_of::<Event>() + event.kv.encoded().len() + event.prev_kv.as_ref().map_or(0, |kv| kv.encoded().len())
}
