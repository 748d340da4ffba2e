//! Checks what one stream sends against what happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use gateway::watch::{Create, Output, Refusal, StreamRequest};
use internal_proto::{Event, EventKind, Revision};
use prost::Message;
use proto::etcdserverpb::WatchResponse;

use super::history::History;

/// How much of each kind was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: usize,
    pub(crate) progress: usize,
    pub(crate) compacted: usize,
    /// Events of a watch that was catching up.
    pub(crate) late: usize,
    /// Feeds that lagged at the node, and watches that waited for history, at each step.
    pub(crate) lagging_feeds: usize,
    pub(crate) slow_watches: usize,
    /// Steps at which a covering feed served ranges, and worlds in which the last of them got their own feeds.
    pub(crate) covered: usize,
    pub(crate) uncovered: usize,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.progress += other.progress;
        self.compacted += other.compacted;
        self.late += other.late;
        self.lagging_feeds += other.lagging_feeds;
        self.slow_watches += other.slow_watches;
        self.covered += other.covered;
        self.uncovered += other.uncovered;
    }
}

pub(crate) struct Checker {
    history: Arc<History>,
    /// Creations and cancellations not answered yet, with the revision at which they were asked.
    asked: VecDeque<(StreamRequest, Revision)>,
    watches: BTreeMap<i64, Watched>,
    pub(crate) seen: Seen,
}

struct Watched {
    create: Create,
    /// Everything that matches from here on is still to come.
    next: Revision,
    ended: bool,
    /// What the stream has shown of the watch so far: progress never goes back.
    shown: Revision,
}

impl Checker {
    pub(crate) fn new(history: Arc<History>) -> Self {
        Self { history, asked: VecDeque::new(), watches: BTreeMap::new(), seen: Seen::default() }
    }

    pub(crate) fn asked(&mut self, request: &StreamRequest) {
        if matches!(request, StreamRequest::Create(_) | StreamRequest::Cancel(_)) {
            self.asked.push_back((request.clone(), self.history.revision()));
        }
    }

    pub(crate) fn check(&mut self, output: &Output) {
        match output {
            Output::Created { watch_id, revision } => {
                let create = self.next_create(*revision);
                assert!(create.watch_id == 0 || create.watch_id == *watch_id, "{output:?} for {create:?}");
                let next = create.start.unwrap_or(revision.next());
                let watched = Watched { create, next, ended: false, shown: Revision(0) };
                assert!(self.watches.insert(*watch_id, watched).is_none(), "{output:?}: the id is in use");
            }
            Output::Refused { refusal, revision } => {
                assert_eq!(*refusal, Refusal::DuplicateId);
                let create = self.next_create(*revision);
                assert!(self.watches.contains_key(&create.watch_id), "{output:?}: the id was free");
            }
            Output::Canceled { watch_id, .. } => {
                self.skip_unknown_cancellations();
                let asked = self.asked.pop_front();
                assert!(
                    matches!(asked, Some((StreamRequest::Cancel(id), _)) if id == *watch_id),
                    "{output:?} {asked:?}"
                );
                assert!(self.watches.remove(watch_id).is_some(), "{output:?}: no such watch");
            }
            Output::Compacted { watch_id, compacted } => {
                let watched = self.watches.get_mut(watch_id).unwrap();
                assert!(!watched.ended && watched.next < *compacted, "{output:?}: nothing was lost");
                assert!(*compacted <= self.history.compacted(), "{output:?}");
                watched.ended = true;
                self.seen.compacted += 1;
            }
            Output::Progress { watch_id, revision } => self.check_progress(*watch_id, *revision),
            Output::Events { watch_id, revision, events, .. } => {
                let events = WatchResponse::decode(&events[..]).unwrap().events;
                self.check_events(*watch_id, *revision, &events);
            }
        }
    }

    /// Cancellations of watches that do not exist are not answered.
    fn skip_unknown_cancellations(&mut self) {
        while let Some((StreamRequest::Cancel(id), _)) = self.asked.front()
            && !self.watches.contains_key(id)
        {
            self.asked.pop_front();
        }
    }

    fn next_create(&mut self, revision: Revision) -> Create {
        self.skip_unknown_cancellations();
        match self.asked.pop_front() {
            Some((StreamRequest::Create(create), asked_at)) => {
                assert!(revision >= asked_at, "created at {revision}, asked at {asked_at}");
                assert!(revision <= self.history.revision());
                create
            }
            other => panic!("an answer to a creation, but {other:?} is next"),
        }
    }

    fn check_progress(&mut self, watch_id: Option<i64>, revision: Revision) {
        self.seen.progress += 1;
        assert!(!self.watches.is_empty() && revision <= self.history.revision());
        let ids: Vec<i64> = watch_id.map_or_else(|| self.watches.keys().copied().collect(), |id| vec![id]);
        for id in ids {
            let watched = self.watches.get_mut(&id).unwrap();
            assert!(!watched.ended, "progress {revision} over watch {id}, which ended");
            assert!(
                watched.create.start.unwrap_or_default() <= revision,
                "progress {revision} before watch {id} starts"
            );
            assert!(watched.shown <= revision, "progress {revision} after {}", watched.shown);
            watched.shown = revision;
            if let Some(missing) = watched.missing(&self.history) {
                assert!(missing.0 > revision, "progress {revision}, but watch {id} still lacks {}", missing.0);
            }
        }
    }

    fn check_events(&mut self, watch_id: i64, revision: Revision, events: &[Event]) {
        let watched = self.watches.get_mut(&watch_id).unwrap();
        assert!(!watched.ended && !events.is_empty());
        for group in events.chunk_by(|a, b| a.kv.mod_revision() == b.kv.mod_revision()) {
            let (expected, list) = watched.missing(&self.history).expect("an event that never happened");
            assert_eq!(group[0].kv.mod_revision(), expected, "watch {watch_id}: order, loss or repetition");
            assert!(group == list, "watch {watch_id}: the events of {expected}");
            watched.next = expected.next();
            self.seen.events += 1;
        }
        let last = Revision(watched.next.0 - 1);
        assert!(revision >= last && revision <= self.history.revision());
        self.seen.late += usize::from(revision > last);
        watched.shown = last.max(watched.shown);
    }

    /// The watches that the stream has.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.watches.keys().copied()
    }

    pub(crate) fn is_complete(&self) -> bool {
        let unanswered = |(request, _): &(StreamRequest, Revision)| matches!(request, StreamRequest::Create(_));
        !self.asked.iter().any(unanswered)
            && self.watches.values().all(|watched| watched.ended || watched.missing(&self.history).is_none())
    }

    pub(crate) fn assert_complete(&self) {
        for (id, watched) in self.watches.iter().filter(|(_, watched)| !watched.ended) {
            if let Some((revision, _)) = watched.missing(&self.history) {
                panic!("watch {id} never got {revision}; compacted is {}", self.history.compacted());
            }
        }
        assert!(self.is_complete(), "not answered: {:?}", self.asked);
    }
}

impl Watched {
    /// The next revision that the watch must be sent, with its events.
    fn missing(&self, history: &History) -> Option<(Revision, Vec<Event>)> {
        let wanted = |event: &Event| {
            let filter = self.create.filter;
            let kind = if event.kind == EventKind::Delete { filter.deletes } else { filter.puts };
            kind && self.create.range.contains(event.kv.key())
        };
        let changes = history.next_matching(self.next, wanted)?;
        let prev_kv = self.create.prev_kv;
        let shown =
            changes.events.into_iter().map(|event| Event { prev_kv: event.prev_kv.filter(|_| prev_kv), ..event });
        Some((changes.revision, shown.collect()))
    }
}
