//! Answers on their way to one gateway.
//!
//! ```text
//!  short answers ─────────────► frame, as many as fit
//!  long answers, in parts ────► one part of each in turn, in what room is left: a long one delays no other
//! ```

use std::collections::VecDeque;

use internal_proto::Error;
use internal_proto::wire::{AnswerFrame, Answered, MAX_FRAME_BYTES, Told, told_parts};
use prost::Message;

/// Answers that wait for the connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    short: VecDeque<(Answered, usize)>,
    long: VecDeque<VecDeque<Answered>>,
    bytes: usize,
}

impl Outbox {
    /// Adds a call's outcome.
    pub(super) fn push(&mut self, call: u64, outcome: &Result<Told, Error>) {
        let mut parts = told_parts(call, outcome);
        let bytes: usize = parts.iter().map(Message::encoded_len).sum();
        self.bytes += bytes;
        if parts.len() == 1 {
            self.short.extend(parts.pop().map(|answered| (answered, bytes)));
        } else {
            self.long.push_back(parts.into());
        }
    }

    /// Bytes that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    /// What goes next, and how many calls it completes.
    pub(super) fn next_frame(&mut self) -> (AnswerFrame, usize) {
        let mut answered = Vec::new();
        let mut room = MAX_FRAME_BYTES;
        let mut completed = 0;
        while let Some((_, bytes)) = self.short.front()
            && (*bytes <= room || answered.is_empty())
            && let Some((answer, bytes)) = self.short.pop_front()
        {
            room = room.saturating_sub(bytes);
            self.bytes -= bytes;
            completed += 1;
            answered.push(answer);
        }
        if room >= MAX_FRAME_BYTES / 2
            && let Some(mut parts) = self.long.pop_front()
        {
            if let Some(part) = parts.pop_front() {
                self.bytes -= part.encoded_len();
                answered.push(part);
            }
            if parts.is_empty() {
                completed += 1;
            } else {
                self.long.push_back(parts);
            }
        }
        (AnswerFrame { answered }, completed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use internal_proto::wire::MAX_PART_BYTES;
    use internal_proto::{Answer, KeyValue, KeyValueFields, RangeResponse, Response, Stamp};

    fn answer(bytes: usize) -> Result<Told, Error> {
        let value = vec![1; bytes];
        let kv = KeyValue::new(&KeyValueFields { key: b"k", value: &value, ..KeyValueFields::default() });
        let range = RangeResponse { kvs: vec![kv], ..RangeResponse::default() };
        Ok(Told::Answer(Answer { response: Response::Range(range), stamp: Stamp::default() }))
    }

    fn calls(frame: &AnswerFrame) -> Vec<u64> {
        frame.answered.iter().map(|answered| answered.call).collect()
    }

    #[test]
    fn a_long_answer_delays_no_other() {
        let mut outbox = Outbox::default();
        outbox.push(1, &answer(3 * MAX_PART_BYTES));
        outbox.push(2, &answer(3 * MAX_PART_BYTES));
        outbox.push(3, &answer(10));
        let (frame, completed) = outbox.next_frame();
        assert_eq!((calls(&frame), completed), (vec![3, 1], 1));
        outbox.push(4, &answer(10));
        let (frame, completed) = outbox.next_frame();
        assert_eq!((calls(&frame), completed), (vec![4, 2], 1));
    }

    #[test]
    fn everything_leaves_in_frames_of_bounded_size() {
        let mut outbox = Outbox::default();
        for call in 0..40 {
            outbox.push(call, &answer(usize::try_from(call).unwrap() * 40_000));
        }
        let mut completed = 0;
        while !outbox.is_empty() {
            let (frame, more) = outbox.next_frame();
            assert!(!frame.answered.is_empty() && frame.encoded_len() <= MAX_FRAME_BYTES + MAX_PART_BYTES + 64);
            completed += more;
        }
        assert_eq!((completed, outbox.bytes()), (40, 0));
    }
}
