//! Reading the state from any thread.
//!
//! Invariant: a read pins the revisions it needs for as long as it runs, and takes the engine's lock only for chunks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use internal_proto::{
    AuthRevision, Error, KeyRange, LeaseId, LogIndex, Member, RangeRequest, RangeResponse, Revision, SessionId, Term,
    TxnRequest, TxnResponse,
};

use super::lease::attached_key;
use super::mvcc::overlay::Overlay;
use super::mvcc::revision::AtRevision;
use super::mvcc::view::View;
use super::mvcc::{hash, history, range};
use super::shared::{Pin, Shared, readable};
use super::workspace::Workspace;
use super::{ChangePage, LeaseRecord, StoreHash};
use crate::engine::{CHUNK, Position, Sizes, SmallKey, SmallKind};

/// Reads from any thread while the state applies.
#[derive(Clone)]
pub struct Reader {
    current: Arc<ArcSwap<Shared>>,
}

impl Reader {
    pub(super) const fn new(current: Arc<ArcSwap<Shared>>) -> Self {
        Self { current }
    }

    /// Where the store is: all that follows an entry moves together.
    #[must_use]
    pub fn position(&self) -> Position {
        self.current.load().position()
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.position().revision
    }

    /// The compacted revision; -1 if never compacted.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        self.position().compacted
    }

    /// Every version that the compacted revision makes superfluous is gone up to here; -1 until a first pass is done.
    #[must_use]
    pub fn compaction_done_through(&self) -> Revision {
        self.current.load().compaction.lock().done()
    }

    /// The last entry applied, and its term.
    #[must_use]
    pub fn applied(&self) -> (LogIndex, Term) {
        let position = self.position();
        (position.applied, position.term)
    }

    /// The revision of users, roles and permissions: the first, as long as no command changes them.
    #[must_use]
    pub const fn auth(&self) -> AuthRevision {
        AuthRevision(1)
    }

    /// Reads a range. The response's revision is the store's at the time of the read.
    ///
    /// # Errors
    /// [`Error::Compacted`] and [`Error::FutureRevision`].
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        let pin = self.current.load().pin(|position| readable(position, request.revision))?;
        Ok(range::read(&keys(&pin, &Overlay::default()), request, pin.position.revision))
    }

    /// Answers a transaction that only reads; what another one would write is thrown away.
    ///
    /// # Errors
    /// As [`Reader::range`], for any range of the branch taken.
    pub fn txn(&self, request: &TxnRequest) -> Result<TxnResponse, Error> {
        let pin = pin_all(&self.current.load());
        Workspace::new(&*pin.shared.engine, &pin.shared.counts, pin.position).txn(request)
    }

    /// A lease.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<LeaseRecord> {
        let record = self.current.load().engine.small(&SmallKey::Lease(id))?;
        Some(LeaseRecord::decode(&record).expect("lease records were checked when the state opened"))
    }

    /// All leases, by id.
    #[must_use]
    pub fn leases(&self) -> Vec<(LeaseId, LeaseRecord)> {
        self.small_records(SmallKind::Lease, None, |key, value| match key {
            SmallKey::Lease(id) => LeaseRecord::decode(&value).map(|record| (*id, record)),
            _ => None,
        })
    }

    /// The keys attached to a lease, in key order.
    #[must_use]
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Bytes> {
        let before = SmallKey::LeaseKey(id, Bytes::new());
        self.small_records(SmallKind::LeaseKey, Some(before), |key, _| match key {
            SmallKey::LeaseKey(of, _) if *of == id => attached_key(key.clone()),
            _ => None,
        })
    }

    /// At least as many keys as a range has now, and hardly more than there are: what reading or deleting it takes.
    pub(crate) fn at_most(&self, range: &KeyRange) -> u64 {
        self.current.load().counts.read().at_most(range)
    }

    /// How many keys are attached to a lease; once `enough` are found, the rest is not looked for.
    pub(crate) fn attached(&self, id: LeaseId, enough: u64) -> u64 {
        /// Most leases have few keys.
        const FEW: usize = 16;
        let shared = self.current.load();
        let (mut last, mut limit, mut found) = (SmallKey::LeaseKey(id, Bytes::new()), FEW, 0);
        loop {
            let mut chunk = shared.engine.scan_small(SmallKind::LeaseKey, Some(&last), limit);
            chunk.retain(|(key, _)| matches!(key, SmallKey::LeaseKey(of, _) if *of == id));
            found += chunk.len() as u64;
            match chunk.pop() {
                Some((key, _)) if chunk.len() + 1 == limit && found < enough => last = key,
                _ => return found,
            }
            limit = CHUNK;
        }
    }

    /// The members, by id.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.small_records(SmallKind::Member, None, |_, value| Member::decode(value).ok())
    }

    /// All sessions.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.small_records(SmallKind::Session, None, |key, _| match key {
            SmallKey::Session(id) => Some(*id),
            _ => None,
        })
    }

    /// The membership as raft saw it last.
    #[must_use]
    pub fn conf_state(&self) -> Option<Bytes> {
        self.current.load().engine.small(&SmallKey::ConfState)
    }

    /// The bytes the engine uses.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.current.load().engine.sizes()
    }

    /// One page of the changes in a range, from a revision on: for watchers that catch up. At least one revision with
    /// events if there is one, and not more than one revision beyond `max_bytes`.
    ///
    /// # Errors
    /// [`Error::Compacted`] when `from` is below the compacted revision.
    pub fn changes(&self, range: &KeyRange, from: Revision, max_bytes: usize) -> Result<ChangePage, Error> {
        let after = Revision(from.0 - 1);
        let pin = self.current.load().pin(|position| {
            if from < position.compacted { Err(Error::Compacted) } else { Ok(after.max(position.compacted)) }
        })?;
        let Position { revision, compacted, .. } = pin.position;
        Ok(history::page(&*pin.shared.engine, range, after, revision, compacted, max_bytes))
    }

    /// Pins the current revision and applied index, and everything retained now, until the view is dropped.
    #[must_use]
    pub fn view(&self) -> View {
        let shared = self.current.load_full();
        View::new(&shared, || pin_all(&shared))
    }

    /// etcd's HashKV at a revision, `None` for the current one.
    ///
    /// # Errors
    /// [`Error::Compacted`] and [`Error::FutureRevision`].
    pub fn hash(&self, revision: Option<Revision>) -> Result<StoreHash, Error> {
        let view = self.view();
        let at = readable(view.position(), revision)?;
        let pin = view.pin_at(at)?;
        Ok(hash::hash(&keys(&pin, &Overlay::default()), view.compacted()))
    }

    /// One step of the background compaction, over up to `budget` changes. Whether there is more to do now; if not,
    /// ask again when the compacted revision moves or a view or read has ended.
    #[must_use]
    pub fn compact_step(&self, budget: usize) -> bool {
        let shared = self.current.load();
        let mut compaction = shared.compaction.lock();
        compaction.step(&shared, budget)
    }

    /// The small records of a kind, above a key if one is given, as long as `read` takes them.
    fn small_records<T>(
        &self,
        kind: SmallKind,
        mut last: Option<SmallKey>,
        read: impl Fn(&SmallKey, Bytes) -> Option<T>,
    ) -> Vec<T> {
        let shared = self.current.load_full();
        let mut found = Vec::new();
        loop {
            let chunk = shared.engine.scan_small(kind, last.as_ref(), CHUNK);
            let full = chunk.len() == CHUNK;
            for (key, value) in chunk {
                let Some(record) = read(&key, value) else { return found };
                found.push(record);
                last = Some(key);
            }
            if !full {
                return found;
            }
        }
    }
}

/// Pins every revision that can be read now.
fn pin_all(shared: &Arc<Shared>) -> Pin {
    shared.pin(|position| Ok(position.compacted)).expect("the compacted revision is readable")
}

fn keys<'a>(pin: &'a Pin, overlay: &'a Overlay) -> AtRevision<'a> {
    AtRevision { engine: &*pin.shared.engine, counts: &pin.shared.counts, at: pin.revision, overlay }
}
