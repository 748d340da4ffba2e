//! The outcome of a numbered write, as a session keeps it on disk. Field and error numbers never change their meaning.

use bytes::Bytes;
use internal_proto::{
    DeleteRangeResponse, Error, KeyValue, LeaseGrantResponse, LeaseId, PutResponse, RangeResponse, Response, Revision,
    TxnOperationResponse, TxnResponse,
};
use prost::{Message, Oneof};

use crate::state::Outcome;

#[derive(Clone, PartialEq, Message)]
struct DiskAnswer {
    #[prost(int64, tag = "1")]
    revision: i64,
    /// None of them: the write was applied, but its answer was too long to keep.
    #[prost(oneof = "Kept", tags = "2, 3, 4, 5, 6, 7, 8, 9")]
    kept: Option<Kept>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kept {
    #[prost(uint32, tag = "2")]
    Refused(u32),
    #[prost(message, tag = "3")]
    Put(DiskPut),
    #[prost(message, tag = "4")]
    DeleteRange(DiskDeleteRange),
    #[prost(message, tag = "5")]
    Txn(DiskTxn),
    #[prost(bool, tag = "6")]
    Compact(bool),
    #[prost(message, tag = "7")]
    LeaseGrant(DiskLeaseGrant),
    #[prost(bool, tag = "8")]
    LeaseRevoke(bool),
    #[prost(bool, tag = "9")]
    Done(bool),
}

#[derive(Clone, PartialEq, Message)]
struct DiskPut {
    #[prost(int64, tag = "1")]
    revision: i64,
    #[prost(message, optional, tag = "2")]
    prev_kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct DiskDeleteRange {
    #[prost(int64, tag = "1")]
    revision: i64,
    #[prost(uint64, tag = "2")]
    deleted: u64,
    #[prost(message, repeated, tag = "3")]
    prev_kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct DiskRange {
    #[prost(int64, tag = "1")]
    revision: i64,
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    more: bool,
    #[prost(uint64, tag = "4")]
    count: u64,
}

#[derive(Clone, PartialEq, Message)]
struct DiskTxn {
    #[prost(int64, tag = "1")]
    revision: i64,
    #[prost(bool, tag = "2")]
    succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    responses: Vec<DiskTxnOperation>,
}

#[derive(Clone, PartialEq, Message)]
struct DiskTxnOperation {
    #[prost(oneof = "DiskTxnStep", tags = "1, 2, 3, 4")]
    step: Option<DiskTxnStep>,
}

#[derive(Clone, PartialEq, Oneof)]
enum DiskTxnStep {
    #[prost(message, tag = "1")]
    Range(DiskRange),
    #[prost(message, tag = "2")]
    Put(DiskPut),
    #[prost(message, tag = "3")]
    DeleteRange(DiskDeleteRange),
    #[prost(message, tag = "4")]
    Txn(DiskTxn),
}

#[derive(Clone, Copy, PartialEq, Message)]
struct DiskLeaseGrant {
    #[prost(sfixed64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    ttl: i64,
}

/// The refusals that a write can meet when it is applied.
const REFUSALS: [(u32, Error); 6] = [
    (1, Error::KeyNotFound),
    (2, Error::LeaseNotFound),
    (3, Error::LeaseExists),
    (4, Error::Compacted),
    (5, Error::FutureRevision),
    (6, Error::TooManyRequests),
];

/// The outcome on disk; an answer above `limit` bytes is left out.
pub(super) fn encode(outcome: &Outcome, limit: usize) -> Bytes {
    let kept = match &outcome.result {
        Ok(response) => keep(response),
        Err(error) => REFUSALS.iter().find(|(_, known)| known == error).map(|&(number, _)| Kept::Refused(number)),
    };
    let mut answer = DiskAnswer { revision: outcome.revision.0, kept };
    if answer.encoded_len() > limit {
        answer.kept = None;
    }
    answer.encode_to_vec().into()
}

/// Whether the bytes are an outcome.
pub(in crate::state) fn decodes(bytes: &[u8]) -> bool {
    DiskAnswer::decode(bytes).is_ok()
}

/// The outcome again. One whose answer was not kept is ambiguous to its client.
pub(super) fn decode(bytes: Bytes) -> Outcome {
    let answer = DiskAnswer::decode(bytes).expect("answers were checked when the state opened");
    let result = match answer.kept {
        Some(Kept::Refused(number)) => Err(refusal(number)),
        Some(kept) => give_back(kept).ok_or(Error::AnswerForgotten),
        None => Err(Error::AnswerForgotten),
    };
    Outcome { result, revision: Revision(answer.revision) }
}

fn refusal(number: u32) -> Error {
    REFUSALS.iter().find(|(known, _)| *known == number).map_or(Error::AnswerForgotten, |&(_, error)| error)
}

fn keep(response: &Response) -> Option<Kept> {
    Some(match response {
        Response::Put(put) => Kept::Put(put.into()),
        Response::DeleteRange(delete) => Kept::DeleteRange(delete.into()),
        Response::Txn(txn) => Kept::Txn(txn.into()),
        Response::Compact => Kept::Compact(true),
        Response::LeaseGrant(grant) => Kept::LeaseGrant(DiskLeaseGrant { id: grant.id.0, ttl: grant.ttl }),
        Response::LeaseRevoke => Kept::LeaseRevoke(true),
        Response::Done => Kept::Done(true),
        // The answers of reads, which no command has, and of what opens a session, which has no number.
        Response::Range(_)
        | Response::LeaseKeepAlive { .. }
        | Response::LeaseTimeToLive(_)
        | Response::LeaseLeases(_)
        | Response::Status(_)
        | Response::SessionOpened(_)
        | Response::MemberList(_) => return None,
    })
}

fn give_back(kept: Kept) -> Option<Response> {
    Some(match kept {
        Kept::Put(put) => Response::Put(put.into()),
        Kept::DeleteRange(delete) => Response::DeleteRange(delete.into()),
        Kept::Txn(txn) => Response::Txn(txn.into()),
        Kept::Compact(_) => Response::Compact,
        Kept::LeaseGrant(grant) => Response::LeaseGrant(LeaseGrantResponse { id: LeaseId(grant.id), ttl: grant.ttl }),
        Kept::LeaseRevoke(_) => Response::LeaseRevoke,
        Kept::Done(_) => Response::Done,
        Kept::Refused(_) => return None,
    })
}

impl From<&PutResponse> for DiskPut {
    fn from(put: &PutResponse) -> Self {
        Self { revision: put.revision.0, prev_kv: put.prev_kv.clone() }
    }
}

impl From<DiskPut> for PutResponse {
    fn from(put: DiskPut) -> Self {
        Self { revision: Revision(put.revision), prev_kv: put.prev_kv }
    }
}

impl From<&DeleteRangeResponse> for DiskDeleteRange {
    fn from(delete: &DeleteRangeResponse) -> Self {
        Self { revision: delete.revision.0, deleted: delete.deleted, prev_kvs: delete.prev_kvs.clone() }
    }
}

impl From<DiskDeleteRange> for DeleteRangeResponse {
    fn from(delete: DiskDeleteRange) -> Self {
        Self { revision: Revision(delete.revision), deleted: delete.deleted, prev_kvs: delete.prev_kvs }
    }
}

impl From<&RangeResponse> for DiskRange {
    fn from(range: &RangeResponse) -> Self {
        Self { revision: range.revision.0, kvs: range.kvs.clone(), more: range.more, count: range.count }
    }
}

impl From<DiskRange> for RangeResponse {
    fn from(range: DiskRange) -> Self {
        Self { revision: Revision(range.revision), kvs: range.kvs, more: range.more, count: range.count }
    }
}

impl From<&TxnResponse> for DiskTxn {
    fn from(txn: &TxnResponse) -> Self {
        let step = |response: &TxnOperationResponse| match response {
            TxnOperationResponse::Range(range) => DiskTxnStep::Range(range.into()),
            TxnOperationResponse::Put(put) => DiskTxnStep::Put(put.into()),
            TxnOperationResponse::DeleteRange(delete) => DiskTxnStep::DeleteRange(delete.into()),
            TxnOperationResponse::Txn(txn) => DiskTxnStep::Txn(txn.into()),
        };
        let responses = txn.responses.iter().map(|response| DiskTxnOperation { step: Some(step(response)) });
        Self { revision: txn.revision.0, succeeded: txn.succeeded, responses: responses.collect() }
    }
}

impl From<DiskTxn> for TxnResponse {
    fn from(txn: DiskTxn) -> Self {
        let step = |step: DiskTxnStep| match step {
            DiskTxnStep::Range(range) => TxnOperationResponse::Range(range.into()),
            DiskTxnStep::Put(put) => TxnOperationResponse::Put(put.into()),
            DiskTxnStep::DeleteRange(delete) => TxnOperationResponse::DeleteRange(delete.into()),
            DiskTxnStep::Txn(txn) => TxnOperationResponse::Txn(txn.into()),
        };
        let responses = txn.responses.into_iter().filter_map(|operation| operation.step).map(step).collect();
        Self { revision: Revision(txn.revision), succeeded: txn.succeeded, responses }
    }
}
