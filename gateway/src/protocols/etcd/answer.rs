//! From neutral responses to etcd's messages.
//!
//! Headers: `cluster_id`, `member_id` and `raft_term` come from the stamp, the revision from the response, so that it
//! belongs to the data. Inside a transaction a header has the revision alone, and that of a nested transaction nothing.
//!
//! Invariant: key-values are moved, never decoded: their bytes go to the wire as they were applied.

use std::sync::{Arc, OnceLock};

use internal_proto::{ClusterId, Member, MemberId, RangeResponse, Revision, Stamp, TxnOperationResponse, TxnResponse};
use proto::etcdserverpb as wire;
use wire::request_op::Request as WireRequest;
use wire::response_op::Response as WireResponse;

use super::limited_sort;

/// Whom headers name.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Learned at the latest before the first answer: a node that answers has said whose it is.
    cluster: Arc<OnceLock<ClusterId>>,
    member: Option<MemberId>,
}

impl Identity {
    /// The member that serves the clients, whichever node executes their requests.
    #[must_use]
    pub fn member(cluster: ClusterId, member: MemberId) -> Self {
        Self { cluster: Arc::new(OnceLock::from(cluster)), member: Some(member) }
    }

    /// The node that executed the request, of a cluster that is learned later.
    #[must_use]
    pub const fn executing(cluster: Arc<OnceLock<ClusterId>>) -> Self {
        Self { cluster, member: None }
    }

    /// A full header.
    #[must_use]
    pub fn header(&self, stamp: &Stamp, revision: Revision) -> wire::ResponseHeader {
        wire::ResponseHeader {
            cluster_id: self.cluster.get().map_or(0, |cluster| cluster.0),
            member_id: self.member.unwrap_or(stamp.member).0,
            revision: revision.0,
            raft_term: stamp.term.0,
        }
    }
}

const fn inner_header(revision: Revision) -> wire::ResponseHeader {
    wire::ResponseHeader { cluster_id: 0, member_id: 0, revision: revision.0, raft_term: 0 }
}

/// Counts and sizes never come near the sign bit.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Keys read.
pub(super) fn range(
    header: wire::ResponseHeader,
    request: &wire::RangeRequest,
    response: RangeResponse,
) -> wire::RangeResponse {
    let RangeResponse { kvs, more, count, .. } =
        if limited_sort::applies(request) { limited_sort::narrow(request, response) } else { response };
    wire::RangeResponse { header: Some(header), kvs, more, count: signed(count) }
}

/// A key written.
pub(super) fn put(header: wire::ResponseHeader, response: internal_proto::PutResponse) -> wire::PutResponse {
    wire::PutResponse { header: Some(header), prev_kv: response.prev_kv }
}

/// Keys deleted.
pub(super) fn delete_range(
    header: wire::ResponseHeader,
    response: internal_proto::DeleteRangeResponse,
) -> wire::DeleteRangeResponse {
    wire::DeleteRangeResponse { header: Some(header), deleted: signed(response.deleted), prev_kvs: response.prev_kvs }
}

/// A branch taken; `None` if the store answered other operations than were asked.
pub(super) fn txn(
    header: wire::ResponseHeader,
    request: &wire::TxnRequest,
    response: TxnResponse,
) -> Option<wire::TxnResponse> {
    let taken = if response.succeeded { &request.success } else { &request.failure };
    if taken.len() != response.responses.len() {
        return None;
    }
    let operations = taken.iter().zip(response.responses);
    let responses = operations.map(|(request, response)| {
        let response = operation(request.request.as_ref()?, response)?;
        Some(wire::ResponseOp { response: Some(response) })
    });
    let responses = responses.collect::<Option<_>>()?;
    Some(wire::TxnResponse { header: Some(header), succeeded: response.succeeded, responses })
}

fn operation(request: &WireRequest, response: TxnOperationResponse) -> Option<WireResponse> {
    Some(match (request, response) {
        (WireRequest::RequestRange(request), TxnOperationResponse::Range(response)) => {
            WireResponse::ResponseRange(range(inner_header(response.revision), request, response))
        }
        (WireRequest::RequestPut(_), TxnOperationResponse::Put(response)) => {
            WireResponse::ResponsePut(put(inner_header(response.revision), response))
        }
        (WireRequest::RequestDeleteRange(_), TxnOperationResponse::DeleteRange(response)) => {
            WireResponse::ResponseDeleteRange(delete_range(inner_header(response.revision), response))
        }
        (WireRequest::RequestTxn(request), TxnOperationResponse::Txn(response)) => {
            WireResponse::ResponseTxn(txn(inner_header(Revision(0)), request, response)?)
        }
        _ => return None,
    })
}

/// A member.
pub(super) fn member(member: Member) -> wire::Member {
    wire::Member {
        id: member.id.0,
        name: member.name,
        peer_ur_ls: member.peer_urls,
        client_ur_ls: member.client_urls,
        is_learner: member.learner,
    }
}
