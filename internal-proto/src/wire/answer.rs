//! Answers in wire form. Key-values keep the bytes that the engine holds.

use bytes::Bytes;

use super::{Malformed, required};
use crate::generated::metastore::command::{self, Nothing};
use crate::generated::metastore::store::{
    self as wire, answer::Response as Wire, txn_operation_response::Response as WireStep,
};
use crate::{
    Answer, AuthRevision, DeleteRangeResponse, KeyValue, LeaseGrantResponse, LeaseId, LeaseTimeToLiveResponse,
    LogIndex, MemberId, PutResponse, RangeResponse, Response, Revision, SessionId, Stamp, StatusResponse, Term,
    TxnOperationResponse, TxnResponse,
};

pub(super) fn kv_bytes(kv: &KeyValue) -> Bytes {
    Bytes::copy_from_slice(kv.encoded())
}

// Mapped over optional and repeated fields, which own what they hold.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn kv(bytes: Bytes) -> Result<KeyValue, Malformed> {
    KeyValue::from_encoded(&bytes).map_err(|error| Malformed(error.to_string()))
}

fn kvs(list: Vec<Bytes>) -> Result<Vec<KeyValue>, Malformed> {
    list.into_iter().map(kv).collect()
}

impl From<Stamp> for wire::Stamp {
    fn from(stamp: Stamp) -> Self {
        Self { member: stamp.member.0, revision: stamp.revision.0, term: stamp.term.0, auth: stamp.auth.0 }
    }
}

impl From<wire::Stamp> for Stamp {
    fn from(stamp: wire::Stamp) -> Self {
        Self {
            member: MemberId(stamp.member),
            revision: Revision(stamp.revision),
            term: Term(stamp.term),
            auth: AuthRevision(stamp.auth),
        }
    }
}

impl From<&Answer> for wire::Answer {
    fn from(answer: &Answer) -> Self {
        let response = match &answer.response {
            Response::Range(range) => Wire::Range(range.into()),
            Response::Put(put) => Wire::Put(put.into()),
            Response::DeleteRange(delete) => Wire::DeleteRange(delete.into()),
            Response::Txn(txn) => Wire::Txn(txn.into()),
            Response::Compact => Wire::Compact(Nothing {}),
            Response::LeaseGrant(grant) => Wire::LeaseGrant(command::LeaseGrant { id: grant.id.0, ttl: grant.ttl }),
            Response::LeaseRevoke => Wire::LeaseRevoke(Nothing {}),
            Response::LeaseKeepAlive { ttl } => Wire::LeaseKeepAlive(*ttl),
            Response::LeaseTimeToLive(lease) => Wire::LeaseTimeToLive(lease.into()),
            Response::LeaseLeases(ids) => Wire::LeaseLeases(wire::Leases { ids: ids.iter().map(|id| id.0).collect() }),
            Response::Status(status) => Wire::Status(status.into()),
            Response::MemberList(members) => {
                Wire::MemberList(wire::Members { members: members.iter().map(Into::into).collect() })
            }
            Response::SessionOpened(id) => Wire::SessionOpened(id.0),
            Response::Done => Wire::Done(Nothing {}),
        };
        Self { stamp: Some(answer.stamp.into()), response: Some(response) }
    }
}

impl TryFrom<wire::Answer> for Answer {
    type Error = Malformed;

    fn try_from(answer: wire::Answer) -> Result<Self, Malformed> {
        let response = match required(answer.response, "an answer's response")? {
            Wire::Range(range) => Response::Range(range.try_into()?),
            Wire::Put(put) => Response::Put(put.try_into()?),
            Wire::DeleteRange(delete) => Response::DeleteRange(delete.try_into()?),
            Wire::Txn(txn) => Response::Txn(txn.try_into()?),
            Wire::Compact(Nothing {}) => Response::Compact,
            Wire::LeaseGrant(grant) => {
                Response::LeaseGrant(LeaseGrantResponse { id: LeaseId(grant.id), ttl: grant.ttl })
            }
            Wire::LeaseRevoke(Nothing {}) => Response::LeaseRevoke,
            Wire::LeaseKeepAlive(ttl) => Response::LeaseKeepAlive { ttl },
            Wire::LeaseTimeToLive(lease) => Response::LeaseTimeToLive(lease.into()),
            Wire::LeaseLeases(leases) => Response::LeaseLeases(leases.ids.into_iter().map(LeaseId).collect()),
            Wire::Status(status) => Response::Status(status.into()),
            Wire::MemberList(list) => Response::MemberList(list.members.into_iter().map(Into::into).collect()),
            Wire::SessionOpened(id) => Response::SessionOpened(SessionId(id)),
            Wire::Done(Nothing {}) => Response::Done,
        };
        Ok(Self { response, stamp: required(answer.stamp, "an answer's stamp")?.into() })
    }
}

impl From<&RangeResponse> for wire::RangeResponse {
    fn from(range: &RangeResponse) -> Self {
        let kvs = range.kvs.iter().map(kv_bytes).collect();
        Self { revision: range.revision.0, kvs, more: range.more, count: range.count }
    }
}

impl TryFrom<wire::RangeResponse> for RangeResponse {
    type Error = Malformed;

    fn try_from(range: wire::RangeResponse) -> Result<Self, Malformed> {
        let revision = Revision(range.revision);
        Ok(Self { revision, kvs: kvs(range.kvs)?, more: range.more, count: range.count })
    }
}

impl From<&PutResponse> for wire::PutResponse {
    fn from(put: &PutResponse) -> Self {
        Self { revision: put.revision.0, prev_kv: put.prev_kv.as_ref().map(kv_bytes) }
    }
}

impl TryFrom<wire::PutResponse> for PutResponse {
    type Error = Malformed;

    fn try_from(put: wire::PutResponse) -> Result<Self, Malformed> {
        Ok(Self { revision: Revision(put.revision), prev_kv: put.prev_kv.map(kv).transpose()? })
    }
}

impl From<&DeleteRangeResponse> for wire::DeleteRangeResponse {
    fn from(delete: &DeleteRangeResponse) -> Self {
        let prev_kvs = delete.prev_kvs.iter().map(kv_bytes).collect();
        Self { revision: delete.revision.0, deleted: delete.deleted, prev_kvs }
    }
}

impl TryFrom<wire::DeleteRangeResponse> for DeleteRangeResponse {
    type Error = Malformed;

    fn try_from(delete: wire::DeleteRangeResponse) -> Result<Self, Malformed> {
        let revision = Revision(delete.revision);
        Ok(Self { revision, deleted: delete.deleted, prev_kvs: kvs(delete.prev_kvs)? })
    }
}

impl From<&TxnResponse> for wire::TxnResponse {
    fn from(txn: &TxnResponse) -> Self {
        let step = |step: &TxnOperationResponse| {
            let response = match step {
                TxnOperationResponse::Range(range) => WireStep::Range(range.into()),
                TxnOperationResponse::Put(put) => WireStep::Put(put.into()),
                TxnOperationResponse::DeleteRange(delete) => WireStep::DeleteRange(delete.into()),
                TxnOperationResponse::Txn(txn) => WireStep::Txn(txn.into()),
            };
            wire::TxnOperationResponse { response: Some(response) }
        };
        let responses = txn.responses.iter().map(step).collect();
        Self { revision: txn.revision.0, succeeded: txn.succeeded, responses }
    }
}

impl TryFrom<wire::TxnResponse> for TxnResponse {
    type Error = Malformed;

    fn try_from(txn: wire::TxnResponse) -> Result<Self, Malformed> {
        let step = |step: wire::TxnOperationResponse| {
            Ok::<_, Malformed>(match required(step.response, "the response to a transaction's step")? {
                WireStep::Range(range) => TxnOperationResponse::Range(range.try_into()?),
                WireStep::Put(put) => TxnOperationResponse::Put(put.try_into()?),
                WireStep::DeleteRange(delete) => TxnOperationResponse::DeleteRange(delete.try_into()?),
                WireStep::Txn(txn) => TxnOperationResponse::Txn(txn.try_into()?),
            })
        };
        let responses = txn.responses.into_iter().map(step).collect::<Result<_, _>>()?;
        Ok(Self { revision: Revision(txn.revision), succeeded: txn.succeeded, responses })
    }
}

impl From<&LeaseTimeToLiveResponse> for wire::LeaseTimeToLiveResponse {
    fn from(lease: &LeaseTimeToLiveResponse) -> Self {
        Self { id: lease.id.0, ttl: lease.ttl, granted_ttl: lease.granted_ttl, keys: lease.keys.clone() }
    }
}

impl From<wire::LeaseTimeToLiveResponse> for LeaseTimeToLiveResponse {
    fn from(lease: wire::LeaseTimeToLiveResponse) -> Self {
        Self { id: LeaseId(lease.id), ttl: lease.ttl, granted_ttl: lease.granted_ttl, keys: lease.keys }
    }
}

impl From<&StatusResponse> for wire::StatusResponse {
    fn from(status: &StatusResponse) -> Self {
        Self {
            db_size: status.db_size,
            db_size_in_use: status.db_size_in_use,
            quota: status.quota,
            leader: status.leader.map(|leader| leader.0),
            committed: status.committed.0,
            applied: status.applied.0,
            learner: status.learner,
            errors: status.errors.clone(),
        }
    }
}

impl From<wire::StatusResponse> for StatusResponse {
    fn from(status: wire::StatusResponse) -> Self {
        Self {
            db_size: status.db_size,
            db_size_in_use: status.db_size_in_use,
            quota: status.quota,
            leader: status.leader.map(MemberId),
            committed: LogIndex(status.committed),
            applied: LogIndex(status.applied),
            learner: status.learner,
            errors: status.errors,
        }
    }
}
