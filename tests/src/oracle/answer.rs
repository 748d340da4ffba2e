//! What a server answered, and the differences between two servers that are allowed.

use internal_proto::{KeyValue, KeyValueFields, LeaseId, Revision};
use proto::etcdserverpb::{
    CompactionResponse, DeleteRangeResponse, LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse,
    LeaseRevokeResponse, LeaseTimeToLiveResponse, PutResponse, RangeResponse, ResponseHeader, ResponseOp, TxnResponse,
    response_op,
};
use tonic::{Code, Status};

use super::symbol::Chosen;

/// The answer to one operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To Range and RangeStream
    Range(RangeResponse),
    /// To Put
    Put(PutResponse),
    /// To DeleteRange
    Delete(DeleteRangeResponse),
    /// To Txn
    Txn(TxnResponse),
    /// To Compact
    Compact(CompactionResponse),
    /// To LeaseGrant
    Grant(LeaseGrantResponse),
    /// To LeaseRevoke
    Revoke(LeaseRevokeResponse),
    /// To LeaseKeepAlive
    KeepAlive(LeaseKeepAliveResponse),
    /// To LeaseTimeToLive
    TimeToLive(LeaseTimeToLiveResponse),
    /// To LeaseLeases
    Leases(LeaseLeasesResponse),
    /// An error
    Failed {
        /// gRPC's code
        code: Code,
        /// The text, which clients compare too
        message: String,
        /// The length of `grpc-status-details-bin`
        details: usize,
    },
    /// A rule of the protocol that the server broke, whatever the other one answered
    Broken(String),
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::Failed { code: status.code(), message: status.message().to_owned(), details: status.details().len() }
    }
}

impl Answer {
    /// The header, where the answer has one.
    pub const fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Range(answer) => answer.header.as_mut(),
            Self::Put(answer) => answer.header.as_mut(),
            Self::Delete(answer) => answer.header.as_mut(),
            Self::Txn(answer) => answer.header.as_mut(),
            Self::Compact(answer) => answer.header.as_mut(),
            Self::Grant(answer) => answer.header.as_mut(),
            Self::Revoke(answer) => answer.header.as_mut(),
            Self::KeepAlive(answer) => answer.header.as_mut(),
            Self::TimeToLive(answer) => answer.header.as_mut(),
            Self::Leases(answer) => answer.header.as_mut(),
            Self::Failed { .. } | Self::Broken(_) => None,
        }
    }
}

/// Whether the revisions of two systems can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// One client: both systems are at the same revision
    Equal,
    /// Many clients at once: they interleave differently
    Interleaved,
}

/// Replaces what may differ by what both systems share.
pub fn normalise(answer: &mut Answer, chosen: &Chosen, revisions: Revisions) {
    if let Some(header) = answer.header_mut() {
        normalise_header(header, revisions);
    }
    let mut key_value = |kv: &mut KeyValue| *kv = normalised(kv, chosen, revisions);
    match answer {
        Answer::Range(answer) => answer.kvs.iter_mut().for_each(key_value),
        Answer::Put(answer) => answer.prev_kv.iter_mut().for_each(key_value),
        Answer::Delete(answer) => answer.prev_kvs.iter_mut().for_each(key_value),
        Answer::Txn(answer) => visit_responses(&mut answer.responses, revisions, &mut key_value),
        Answer::Grant(answer) => answer.id = chosen.common(answer.id),
        Answer::KeepAlive(answer) => answer.id = chosen.common(answer.id),
        Answer::TimeToLive(answer) => {
            answer.id = chosen.common(answer.id);
            answer.keys.sort();
        }
        Answer::Leases(answer) => answer.leases.iter_mut().for_each(|lease| lease.id = chosen.common(lease.id)),
        Answer::Compact(_) | Answer::Revoke(_) | Answer::Failed { .. } | Answer::Broken(_) => {}
    }
}

/// Ids and the term have to be there, but not to be equal.
fn normalise_header(header: &mut ResponseHeader, revisions: Revisions) {
    header.cluster_id = u64::from(header.cluster_id != 0);
    header.member_id = u64::from(header.member_id != 0);
    header.raft_term = u64::from(header.raft_term != 0);
    if revisions == Revisions::Interleaved {
        header.revision = i64::from(header.revision != 0);
    }
}

/// The key-value with what both systems share.
#[must_use]
pub fn normalised(kv: &KeyValue, chosen: &Chosen, revisions: Revisions) -> KeyValue {
    let mut fields: KeyValueFields<'_> = kv.fields();
    fields.lease = LeaseId(chosen.common(fields.lease.0));
    if revisions == Revisions::Interleaved {
        fields.create_revision = Revision(i64::from(fields.create_revision.0 != 0));
        fields.mod_revision = Revision(i64::from(fields.mod_revision.0 != 0));
    }
    KeyValue::new(&fields)
}

fn visit_responses(responses: &mut [ResponseOp], revisions: Revisions, key_value: &mut dyn FnMut(&mut KeyValue)) {
    use response_op::Response;
    for ResponseOp { response } in responses {
        let header = match response {
            Some(Response::ResponseRange(answer)) => {
                answer.kvs.iter_mut().for_each(&mut *key_value);
                answer.header.as_mut()
            }
            Some(Response::ResponsePut(answer)) => {
                answer.prev_kv.iter_mut().for_each(&mut *key_value);
                answer.header.as_mut()
            }
            Some(Response::ResponseDeleteRange(answer)) => {
                answer.prev_kvs.iter_mut().for_each(&mut *key_value);
                answer.header.as_mut()
            }
            Some(Response::ResponseTxn(answer)) => {
                visit_responses(&mut answer.responses, revisions, key_value);
                answer.header.as_mut()
            }
            None => None,
        };
        if let Some(header) = header {
            normalise_header(header, revisions);
        }
    }
}

/// Whether two normalised answers agree: equal, but for one second of a lease's remaining time.
#[must_use]
pub fn agree(left: &Answer, right: &Answer) -> bool {
    const CLOCK_TOLERANCE_SECONDS: u64 = 1;
    match (left, right) {
        (Answer::TimeToLive(left), Answer::TimeToLive(right)) => {
            let near = left.ttl.abs_diff(right.ttl) <= CLOCK_TOLERANCE_SECONDS;
            near && *left == LeaseTimeToLiveResponse { ttl: left.ttl, ..right.clone() }
        }
        (Answer::Broken(_), _) | (_, Answer::Broken(_)) => false,
        _ => left == right,
    }
}
