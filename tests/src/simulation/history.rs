//! What clients saw of a cluster, judged by the one order that the cluster claims: its revisions.
//!
//! ```text
//!   started at floor f ──► write at revision r > f      the cluster's history has exactly that write at r
//!                     └──► read at revision r ≥ f       it saw what the history says of r
//!   floor: the highest revision that any finished operation has shown
//! ```
//!
//! Writes happen at their revisions, reads between them, and nothing happens before what was finished when it started:
//! that is a linearization. Every value is written once, so no write can be taken for another.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use internal_proto::{Event, EventKind, KeyValue, Revision};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write a key.
    Put {
        /// The key.
        key: Bytes,
        /// Never written by anybody else.
        value: Bytes,
    },
    /// Write two keys if the first was not changed since.
    Swap {
        /// The key compared and written.
        key: Bytes,
        /// The other key written.
        other: Bytes,
        /// When the first was written last.
        expected: Revision,
        /// Never written by anybody else.
        value: Bytes,
    },
    /// Delete a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Read a key.
    Get {
        /// The key.
        key: Bytes,
    },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody knows, and it may still happen.
    Unknown,
    /// It never happens.
    Refused,
    /// It happened at this revision.
    Wrote(Revision),
    /// It changed nothing: at this revision the key was so.
    Saw(Revision, Option<KeyValue>),
}

struct Record {
    action: Action,
    floor: Revision,
    outcome: Outcome,
}

/// Everything clients did.
#[derive(Default)]
pub struct History {
    records: Vec<Record>,
    floor: Revision,
}

impl History {
    /// Notes that a client starts something; the number to finish it by.
    pub fn start(&mut self, action: Action) -> usize {
        self.records.push(Record { action, floor: self.floor, outcome: Outcome::Unknown });
        self.records.len() - 1
    }

    /// Notes what a client learned.
    pub fn finish(&mut self, number: usize, outcome: Outcome) {
        if let Outcome::Wrote(revision) | Outcome::Saw(revision, _) = outcome {
            self.floor = self.floor.max(revision);
        }
        self.records[number].outcome = outcome;
    }

    /// How many operations were started: no number is given twice.
    #[must_use]
    pub const fn started(&self) -> usize {
        self.records.len()
    }

    /// The highest revision that any client has seen.
    #[must_use]
    pub const fn floor(&self) -> Revision {
        self.floor
    }

    /// How many writes were acknowledged, and how many reads answered.
    #[must_use]
    pub fn finished(&self) -> (u64, u64) {
        let count = |of: fn(&Outcome) -> bool| self.records.iter().filter(|record| of(&record.outcome)).count() as u64;
        (count(|outcome| matches!(outcome, Outcome::Wrote(_))), count(|outcome| matches!(outcome, Outcome::Saw(..))))
    }

    /// Judges everything by the cluster's own history.
    ///
    /// # Errors
    /// The first operation that does not fit it, or the first change that nobody asked for.
    pub fn judge(&self, changes: &[(Revision, Vec<Event>)]) -> Result<(), String> {
        let mut order = Order::new(changes);
        for (number, record) in self.records.iter().enumerate() {
            order.judge(record).map_err(|error| {
                let Record { action, floor, outcome } = record;
                format!("operation {number}, {action:?} started at {floor}, {outcome:?}: {error}")
            })?;
        }
        order.judge_rest()
    }
}

/// The cluster's history, and what of it is explained.
struct Order<'a> {
    changes: BTreeMap<Revision, &'a [Event]>,
    values: BTreeMap<&'a [u8], Revision>,
    keys: BTreeMap<&'a [u8], BTreeMap<Revision, &'a Event>>,
    explained: BTreeSet<Revision>,
    /// Deletions that may have happened: the key and the floor.
    deletions: Vec<(Bytes, Revision)>,
}

impl<'a> Order<'a> {
    fn new(changes: &'a [(Revision, Vec<Event>)]) -> Self {
        let (mut values, mut keys) = (BTreeMap::new(), BTreeMap::<_, BTreeMap<_, _>>::new());
        for (revision, events) in changes {
            for event in events {
                keys.entry(event.kv.key()).or_default().insert(*revision, event);
                values.entry(event.kv.fields().value).or_insert(*revision);
            }
        }
        let changes = changes.iter().map(|(revision, events)| (*revision, &events[..])).collect();
        Self { changes, values, keys, explained: BTreeSet::new(), deletions: Vec::new() }
    }

    fn judge(&mut self, record: &Record) -> Result<(), String> {
        let value = match &record.action {
            Action::Put { value, .. } | Action::Swap { value, .. } => Some(value),
            Action::Delete { .. } | Action::Get { .. } => None,
        };
        let happened = value.and_then(|value| self.values.get(&value[..]).copied());
        match (&record.outcome, happened) {
            (Outcome::Wrote(revision), _) => self.explain(record, *revision),
            (Outcome::Unknown, Some(revision)) => self.explain(record, revision),
            (Outcome::Refused | Outcome::Saw(..), Some(revision)) => Err(format!("it happened at {revision}")),
            (Outcome::Saw(revision, kv), None) => self.check_read(record, *revision, kv.as_ref()),
            (Outcome::Unknown, None) => {
                if let Action::Delete { key } = &record.action {
                    self.deletions.push((key.clone(), record.floor));
                }
                Ok(())
            }
            (Outcome::Refused, None) => Ok(()),
        }
    }

    /// The change at a revision is this write's, and was not there when the write started.
    fn explain(&mut self, record: &Record, revision: Revision) -> Result<(), String> {
        if revision <= record.floor {
            return Err(format!("it happened at {revision}, before it started"));
        }
        let events = self.changes.get(&revision).copied().ok_or_else(|| format!("{revision} is lost"))?;
        let found: Vec<_> = events.iter().map(|event| (event.kind, event.kv.key(), event.kv.fields().value)).collect();
        let right = match &record.action {
            Action::Put { key, value } => vec![(EventKind::Put, &key[..], &value[..])],
            Action::Swap { key, other, value, .. } => {
                vec![(EventKind::Put, &key[..], &value[..]), (EventKind::Put, &other[..], &value[..])]
            }
            Action::Delete { key } => vec![(EventKind::Delete, &key[..], &b""[..])],
            Action::Get { .. } => vec![],
        };
        if found != right {
            return Err(format!("{revision} holds {events:?}"));
        }
        if let Action::Swap { key, expected, .. } = &record.action {
            let before = self.at(key, Revision(revision.0 - 1)).map_or(Revision(0), KeyValue::mod_revision);
            if before != *expected {
                return Err(format!("it replaced what was written at {before}"));
            }
        }
        if self.explained.insert(revision) { Ok(()) } else { Err(format!("{revision} is somebody else's")) }
    }

    fn check_read(&self, record: &Record, revision: Revision, kv: Option<&KeyValue>) -> Result<(), String> {
        let (Action::Get { key } | Action::Delete { key } | Action::Swap { key, .. } | Action::Put { key, .. }) =
            &record.action;
        if revision < record.floor {
            return Err("it is older than what was finished before it".to_owned());
        }
        let right = self.at(key, revision);
        if kv == right { Ok(()) } else { Err(format!("it should have seen {right:?}")) }
    }

    /// A key as it was at a revision.
    fn at(&self, key: &[u8], revision: Revision) -> Option<&'a KeyValue> {
        let (_, event) = self.keys.get(key)?.range(..=revision).next_back()?;
        (event.kind == EventKind::Put).then_some(&event.kv)
    }

    /// Whatever is left was done by deletions of which nobody knows.
    fn judge_rest(mut self) -> Result<(), String> {
        self.deletions.sort_by_key(|(_, floor)| *floor);
        for (revision, events) in &self.changes {
            if self.explained.contains(revision) {
                continue;
            }
            let by = self.deletions.iter().rposition(|(key, floor)| {
                *floor < *revision
                    && events.len() == 1
                    && (EventKind::Delete, &key[..]) == (events[0].kind, events[0].kv.key())
            });
            match by {
                Some(by) => drop(self.deletions.remove(by)),
                None => return Err(format!("nobody asked for the change at {revision}: {events:?}")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use internal_proto::KeyValueFields;

    use super::*;

    fn kv(value: &'static str, revision: i64) -> KeyValue {
        let (key, mod_revision) = (&b"k"[..], Revision(revision));
        let fields =
            KeyValueFields { key, create_revision: mod_revision, mod_revision, version: 1, ..Default::default() };
        KeyValue::new(&KeyValueFields { value: value.as_bytes(), ..fields })
    }

    fn changes(values: &[&'static str]) -> Vec<(Revision, Vec<Event>)> {
        let event = |(at, value): (i64, &&'static str)| {
            (Revision(at), vec![Event { kind: EventKind::Put, kv: kv(value, at), prev_kv: None }])
        };
        (2..).zip(values).map(event).collect()
    }

    fn put(value: &'static str) -> Action {
        Action::Put { key: Bytes::from_static(b"k"), value: Bytes::from_static(value.as_bytes()) }
    }

    fn history(steps: Vec<(Action, Outcome)>) -> History {
        let mut history = History::default();
        for (action, outcome) in steps {
            let number = history.start(action);
            history.finish(number, outcome);
        }
        history
    }

    #[test]
    fn what_was_acknowledged_must_be_there_once() {
        let wrote = || history(vec![(put("a"), Outcome::Wrote(Revision(2))), (put("b"), Outcome::Unknown)]);
        assert_eq!(wrote().judge(&changes(&["a"])), Ok(()));
        assert_eq!(wrote().judge(&changes(&["a", "b"])), Ok(()));
        assert!(wrote().judge(&changes(&[])).is_err(), "lost");
        assert!(wrote().judge(&changes(&["b", "a"])).is_err(), "at another revision");
        assert!(wrote().judge(&changes(&["a", "a"])).is_err(), "twice");
        assert!(wrote().judge(&changes(&["a", "c"])).is_err(), "nobody's");
    }

    #[test]
    fn what_was_refused_must_not_be_there() {
        let refused = history(vec![(put("a"), Outcome::Refused)]);
        assert!(refused.judge(&changes(&["a"])).is_err());
        assert_eq!(refused.judge(&changes(&[])), Ok(()));
    }

    #[test]
    fn a_read_must_see_what_was_finished_before_it() {
        let read = |revision, kv| {
            let get = Action::Get { key: Bytes::from_static(b"k") };
            history(vec![(put("a"), Outcome::Wrote(Revision(2))), (get, Outcome::Saw(Revision(revision), kv))])
        };
        assert_eq!(read(2, Some(kv("a", 2))).judge(&changes(&["a"])), Ok(()));
        assert!(read(1, None).judge(&changes(&["a"])).is_err(), "stale");
        assert!(read(2, None).judge(&changes(&["a"])).is_err(), "wrong");
    }

    #[test]
    fn a_write_happens_after_what_was_finished_before_it() {
        let late = history(vec![(put("b"), Outcome::Wrote(Revision(3))), (put("a"), Outcome::Unknown)]);
        assert!(late.judge(&changes(&["a", "b"])).is_err());
    }
}
