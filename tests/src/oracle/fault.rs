//! Planted differences: what the right system said is changed before it is compared, and the comparison has to
//! notice.

use internal_proto::{Event, KeyValue, KeyValueFields};
use proto::etcdserverpb::WatchResponse;

use super::answer::Answer;

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A header is one revision behind
    StaleHeader,
    /// The count of a range is that of the answer, not of the store
    CountOfAnswer,
    /// A page claims to be the last one
    NoMore,
    /// A previous value is left out
    NoPreviousValue,
    /// A version counts through a deletion
    WrongVersion,
    /// An error's text is rephrased
    OtherText,
    /// A watch misses its 20th event
    LostEvent,
    /// A watch sends its 20th event twice
    RepeatedEvent,
    /// A watch sends the events of a revision in two responses
    SplitRevision,
    /// A watch's response carries a later revision than its event
    EarlyHeader,
    /// A cancelled watch does not say up to where was compacted
    NoCompactRevision,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::StaleHeader,
        Self::CountOfAnswer,
        Self::NoMore,
        Self::NoPreviousValue,
        Self::WrongVersion,
        Self::OtherText,
        Self::LostEvent,
        Self::RepeatedEvent,
        Self::SplitRevision,
        Self::EarlyHeader,
        Self::NoCompactRevision,
    ];

    /// Changes an answer.
    pub fn distort(self, answer: &mut Answer) {
        match (self, answer) {
            (Self::StaleHeader, Answer::Delete(answer)) => {
                answer.header.iter_mut().for_each(|header| header.revision -= 1);
            }
            (Self::CountOfAnswer, Answer::Range(answer)) if !answer.kvs.is_empty() => {
                answer.count = i64::try_from(answer.kvs.len()).unwrap_or(i64::MAX);
            }
            (Self::NoMore, Answer::Range(answer)) => answer.more = false,
            (Self::NoPreviousValue, Answer::Put(answer)) => answer.prev_kv = None,
            (Self::WrongVersion, Answer::Range(answer)) => {
                for kv in answer.kvs.iter_mut().filter(|kv| kv.fields().version == 3) {
                    *kv = KeyValue::new(&KeyValueFields { version: 4, ..kv.fields() });
                }
            }
            (Self::OtherText, Answer::Failed { message, .. }) => {
                *message = message.replace("duplicate key given", "duplicated key given");
            }
            _ => {}
        }
    }

    /// Changes a watch's response, the `nth` with events; what is to be seen instead.
    #[must_use]
    pub fn distort_watch(self, mut response: WatchResponse, nth: usize) -> Vec<WatchResponse> {
        const TARGET: usize = 20;
        match self {
            Self::LostEvent if nth == TARGET => {
                response.events.pop();
            }
            Self::RepeatedEvent if nth == TARGET => {
                let last: Option<Event> = response.events.last().cloned();
                response.events.extend(last);
            }
            Self::SplitRevision if response.events.len() > 1 => {
                let second = WatchResponse { events: response.events.split_off(1), ..response.clone() };
                return vec![response, second];
            }
            Self::EarlyHeader if nth > TARGET => {
                response.header.iter_mut().for_each(|header| header.revision += 1);
            }
            Self::NoCompactRevision => response.compact_revision = 0,
            _ => {}
        }
        vec![response]
    }
}
