//! What happened, in memory: the model, and the node's history for watchers that catch up.

use internal_proto::{Error, Event, EventKind, KeyRange, KeyValue, KeyValueFields, Revision, Stamp};
use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::Arc;
use storenode::state::{ChangePage, Changes};

/// Now and then a value is so large that two of them fill a link.
const LARGE: usize = 2200 << 10;

/// Every change, whether compacted or not.
pub(super) struct History {
    inner: Mutex<(Vec<Changes>, Revision)>,
    page_revisions: usize,
}

/// The node's view: what is compacted is refused.
pub(super) struct Shared(pub(super) Arc<History>);

impl History {
    pub(super) fn new(page_revisions: usize) -> Self {
        Self { inner: Mutex::new((Vec::new(), Revision(-1))), page_revisions }
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(self.inner.lock().0.len() as i64 + 1)
    }

    pub(super) fn compacted(&self) -> Revision {
        self.inner.lock().1
    }

    pub(super) fn published(&self) -> Stamp {
        Stamp { revision: self.revision(), ..Stamp::default() }
    }

    /// The next revision: one to three keys put or deleted.
    pub(super) fn apply(&self, random: &mut StdRng) -> Changes {
        let history = &mut self.inner.lock().0;
        let revision = Revision(history.len() as i64 + 2);
        let first = random.random_range(0..8);
        let count = random.random_range(1..=3.min(8 - first));
        let mut events = Vec::new();
        for number in first..first + count {
            let key = format!("k{number}");
            let earlier = history.iter().rev().flat_map(|changes| &changes.events);
            let previous = earlier.clone().find(|event| event.kv.key() == key.as_bytes());
            let prev_kv = previous.filter(|event| event.kind == EventKind::Put).map(|event| event.kv.clone());
            let delete = prev_kv.is_some() && random.random_bool(0.3);
            let size = if random.random_bool(0.008) { LARGE } else { random.random_range(0..20) };
            let value = vec![b'v'; if delete { 0 } else { size }];
            let fields =
                KeyValueFields { key: key.as_bytes(), mod_revision: revision, value: &value, ..Default::default() };
            let kind = if delete { EventKind::Delete } else { EventKind::Put };
            events.push(Event { kind, kv: KeyValue::new(&fields), prev_kv });
        }
        let changes = Changes { revision, events };
        history.push(changes.clone());
        changes
    }

    pub(super) fn compact(&self, revision: Revision) -> bool {
        let compacted = &mut self.inner.lock().1;
        let moves = revision > *compacted;
        *compacted = revision.max(*compacted);
        moves
    }

    /// The first revision from `next` on that has events in the range, and these.
    pub(super) fn next_matching(&self, next: Revision, matches: impl Fn(&Event) -> bool) -> Option<Changes> {
        let history = &self.inner.lock().0;
        let first = usize::try_from((next.0 - 2).max(0)).unwrap_or(0);
        history.iter().skip(first).find_map(|changes| {
            let events: Vec<_> = changes.events.iter().filter(|event| matches(event)).cloned().collect();
            (!events.is_empty()).then_some(Changes { revision: changes.revision, events })
        })
    }
}

impl storenode::watch::History for Shared {
    fn stamp(&self) -> Stamp {
        self.0.published()
    }

    fn compacted(&self) -> Revision {
        self.0.compacted()
    }

    fn changes(&self, range: &KeyRange, from: Revision, _max_bytes: usize) -> Result<ChangePage, Error> {
        if from < self.0.compacted() {
            return Err(Error::Compacted);
        }
        let mut page = ChangePage { changes: Vec::new(), through: self.0.revision() };
        let mut next = from;
        while let Some(changes) = self.0.next_matching(next, |event| range.contains(event.kv.key())) {
            next = changes.revision.next();
            page.changes.push(changes);
            if page.changes.len() == self.0.page_revisions {
                page.through = Revision(next.0 - 1);
                break;
            }
        }
        Ok(page)
    }
}
