//! Events as they stand in a response, encoded once however many clients get them.
//!
//! ```text
//!  Event, Event ──encode──► [11, length, event][11, length, event]     `events` of etcd's WatchResponse
//!                               ▲ filter and cut walk over the lengths; nothing is decoded
//! ```
//!
//! Invariant: the bytes are whole events in their order, each with its tag and length.

use bytes::Bytes;
use internal_proto::{Event, EventKind};
use prost::Message;
use prost::encoding::{self, WireType};

/// The field of WatchResponse that holds events.
const EVENTS_FIELD: u32 = 11;
/// How an encoded deletion begins: its kind, which for a put is left out.
const DELETE: [u8; 2] = [0x08, EventKind::Delete as u8];

/// Encodes events into an allocation of their own size.
pub(super) fn encode<'a>(events: impl Iterator<Item = &'a Event> + Clone) -> Bytes {
    let size = events.clone().map(|event| encoding::message::encoded_len(EVENTS_FIELD, event)).sum();
    let mut bytes = Vec::with_capacity(size);
    for event in events {
        // `encoding::message::encode` without its type juggling: tag, length, message.
        encoding::encode_key(EVENTS_FIELD, WireType::LengthDelimited, &mut bytes);
        encoding::encode_varint(event.encoded_len() as u64, &mut bytes);
        event.encode_raw(&mut bytes);
    }
    Bytes::from(bytes)
}

/// The events one by one, each with its tag and length.
pub fn split(events: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let (_, end) = event_at(events, start)?;
        let event = events.slice(start..end);
        start = end;
        Some(event)
    })
}

/// Which kinds of events a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Puts pass.
    pub puts: bool,
    /// Deletions pass.
    pub deletes: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { puts: true, deletes: true }
    }
}

impl Filter {
    /// The events that pass, possibly none; the same allocation if all pass.
    pub(super) fn apply(self, events: &Bytes) -> Bytes {
        if self == Self::default() {
            return events.clone();
        }
        let mut passed = Vec::new();
        let mut start = 0;
        while let Some((content, end)) = event_at(events, start) {
            let delete = events[content..end].starts_with(&DELETE);
            if if delete { self.deletes } else { self.puts } {
                passed.extend_from_slice(&events[start..end]);
            }
            start = end;
        }
        if passed.len() == events.len() { events.clone() } else { Bytes::from(passed) }
    }
}

/// Where the content of the event at `start` begins, and where it ends.
fn event_at(events: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut rest = events.get(start + 1..)?;
    let length = encoding::decode_varint(&mut rest).ok()?;
    let content = events.len() - rest.len();
    Some((content, content + usize::try_from(length).ok()?))
}

#[cfg(test)]
mod tests {
    use internal_proto::{KeyValue, KeyValueFields, Revision};

    use super::*;

    fn event(kind: EventKind, key: &[u8], value: &[u8]) -> Event {
        let mod_revision = Revision(300);
        let fields = KeyValueFields { key, value, mod_revision, ..KeyValueFields::default() };
        Event { kind, kv: KeyValue::new(&fields), prev_kv: None }
    }

    #[test]
    fn filters_walk_over_encoded_events() {
        let put = event(EventKind::Put, b"a", &[8; 300]);
        let delete = event(EventKind::Delete, b"b", b"");
        let both = encode([&put, &delete, &put].into_iter());
        let only = |puts, deletes| Filter { puts, deletes }.apply(&both);
        assert_eq!(only(true, true), both);
        assert_eq!(only(true, false), encode([&put, &put].into_iter()));
        assert_eq!(only(false, true), encode([&delete].into_iter()));
        assert_eq!(only(false, false), Bytes::new());
        let parts: Vec<Bytes> = split(&both).collect();
        assert_eq!(parts, [&put, &delete, &put].map(|event| encode([event].into_iter())));
    }
}
