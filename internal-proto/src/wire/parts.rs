//! Long messages in parts, so that one never holds up what shares its connection.
//!
//! ```text
//!  outcome ≤ a part ──► outcome                      one message
//!  outcome > a part ──► part part … last             joined again by the receiver
//! ```

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::{Malformed, Told, required};
use crate::aside::aside_if_long;
use crate::generated::metastore::store::{
    self as wire, answered::Content as AnsweredContent, batch_frame::Content as BatchContent,
};
use crate::{Error, RangeResponse, Response, TxnOperationResponse, TxnResponse, WatchBatch};

/// A part is at most so long: a few milliseconds of a slow link.
pub const MAX_PART_BYTES: usize = 512 << 10;

/// What parts may add up to: the largest message that gRPC carries to a client.
pub const MAX_JOINED_BYTES: usize = (1 << 31) - 1;

/// The messages that tell a call's outcome, in order.
#[must_use]
pub fn told_parts(call: u64, outcome: &Result<Told, Error>) -> Vec<wire::Answered> {
    aside_if_long(least_bytes(outcome), || encode_told(call, outcome))
}

/// What an answer takes at least, of those that can be long.
fn least_bytes(outcome: &Result<Told, Error>) -> usize {
    let Ok(Told::Answer(answer)) = outcome else { return 0 };
    match &answer.response {
        Response::Range(range) => range_bytes(range),
        Response::Txn(txn) => txn_bytes(txn),
        Response::LeaseLeases(leases) => size_of_val(leases.as_slice()),
        Response::LeaseTimeToLive(lease) => lease.keys.iter().map(Bytes::len).sum(),
        _ => 0,
    }
}

fn range_bytes(range: &RangeResponse) -> usize {
    range.kvs.iter().map(|kv| kv.encoded().len()).sum()
}

fn txn_bytes(txn: &TxnResponse) -> usize {
    let bytes = |response: &TxnOperationResponse| match response {
        TxnOperationResponse::Range(range) => range_bytes(range),
        TxnOperationResponse::DeleteRange(deleted) => deleted.prev_kvs.iter().map(|kv| kv.encoded().len()).sum(),
        TxnOperationResponse::Txn(txn) => txn_bytes(txn),
        TxnOperationResponse::Put(_) => 0,
    };
    txn.responses.iter().map(bytes).sum()
}

fn encode_told(call: u64, outcome: &Result<Told, Error>) -> Vec<wire::Answered> {
    let outcome = wire::Outcome::from(outcome);
    let answered = |content| wire::Answered { call, content: Some(content) };
    if outcome.encoded_len() <= MAX_PART_BYTES {
        return vec![answered(AnsweredContent::Outcome(outcome))];
    }
    split(&outcome, |bytes| answered(AnsweredContent::Part(bytes)), |bytes| answered(AnsweredContent::Last(bytes)))
}

/// The messages that carry a batch, in order.
#[must_use]
pub fn batch_frames(batch: &WatchBatch) -> Vec<wire::BatchFrame> {
    let batch = wire::WatchBatch::from(batch);
    let frame = |content| wire::BatchFrame { content: Some(content) };
    if batch.encoded_len() <= MAX_PART_BYTES {
        return vec![frame(BatchContent::Batch(batch))];
    }
    split(&batch, |bytes| frame(BatchContent::Part(bytes)), |bytes| frame(BatchContent::Last(bytes)))
}

fn split<T>(message: &impl Message, part: impl Fn(Bytes) -> T, last: impl FnOnce(Bytes) -> T) -> Vec<T> {
    let mut bytes = Bytes::from(message.encode_to_vec());
    let mut parts = Vec::with_capacity(bytes.len().div_ceil(MAX_PART_BYTES));
    while bytes.len() > MAX_PART_BYTES {
        parts.push(part(bytes.split_to(MAX_PART_BYTES)));
    }
    parts.push(last(bytes));
    parts
}

/// Joins outcomes that come in parts.
#[derive(Debug, Default)]
pub struct Joiner(HashMap<u64, BytesMut>);

impl Joiner {
    /// Takes a message in. A call's number and outcome, once that is complete.
    ///
    /// # Errors
    /// [`Malformed`], also when parts add up to more than [`MAX_JOINED_BYTES`].
    #[allow(clippy::type_complexity)]
    pub fn take(&mut self, answered: wire::Answered) -> Result<Option<(u64, Result<Told, Error>)>, Malformed> {
        let call = answered.call;
        let outcome = match required(answered.content, "the content of an answer")? {
            AnsweredContent::Outcome(outcome) => outcome,
            AnsweredContent::Part(bytes) => {
                append(self.0.entry(call).or_default(), &bytes)?;
                return Ok(None);
            }
            AnsweredContent::Last(bytes) => {
                let mut joined = self.0.remove(&call).unwrap_or_default();
                append(&mut joined, &bytes)?;
                let outcome = aside_if_long(joined.len(), || wire::Outcome::decode(joined.freeze())?.try_into())?;
                return Ok(Some((call, outcome)));
            }
        };
        Ok(Some((call, outcome.try_into()?)))
    }
}

/// Takes a frame of a watch link in. The batch, once it is complete.
///
/// # Errors
/// [`Malformed`], also when parts add up to more than [`MAX_JOINED_BYTES`].
pub fn join_batch(joined: &mut BytesMut, frame: wire::BatchFrame) -> Result<Option<WatchBatch>, Malformed> {
    let batch = match required(frame.content, "the content of a batch")? {
        BatchContent::Batch(batch) => batch,
        BatchContent::Part(bytes) => {
            append(joined, &bytes)?;
            return Ok(None);
        }
        BatchContent::Last(bytes) => {
            append(joined, &bytes)?;
            wire::WatchBatch::decode(joined.split().freeze())?
        }
    };
    batch.try_into().map(Some)
}

fn append(joined: &mut BytesMut, bytes: &[u8]) -> Result<(), Malformed> {
    if joined.len() + bytes.len() > MAX_JOINED_BYTES {
        return Err(Malformed(format!("parts of more than {MAX_JOINED_BYTES} bytes")));
    }
    joined.extend_from_slice(bytes);
    Ok(())
}
