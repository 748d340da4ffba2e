//! etcd's Cluster service. Its headers carry no revision.

use internal_proto::{Request, Response, Revision};
use proto::etcdserverpb as wire;
use tonic::Status;

use super::caller::Caller;
use super::later::later;
use super::{answer, error};
use crate::stack::Handle;

const MEMBERSHIP: &str = "etcdserver: changing the cluster's members is not available in this version";

/// Serves Cluster through a stack.
pub(super) struct Cluster<S>(Caller<S>);

impl<S: Handle> Cluster<S> {
    /// Calls go through `caller`.
    #[must_use]
    pub(super) const fn new(caller: Caller<S>) -> Self {
        Self(caller)
    }
}

#[tonic::async_trait]
impl<S: Handle> wire::cluster_server::Cluster for Cluster<S> {
    async fn member_list(
        &self,
        request: tonic::Request<wire::MemberListRequest>,
    ) -> Result<tonic::Response<wire::MemberListResponse>, Status> {
        let context = self.0.context(request.metadata());
        let call = Request::MemberList { serializable: !request.get_ref().linearizable };
        let answer = self.0.call(context, call).await?;
        let Response::MemberList(members) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        Ok(tonic::Response::new(wire::MemberListResponse {
            header: Some(self.0.header(&answer.stamp, Revision(0))),
            members: members.into_iter().map(answer::member).collect(),
        }))
    }

    later! { MEMBERSHIP;
        member_add(wire::MemberAddRequest) -> wire::MemberAddResponse;
        member_remove(wire::MemberRemoveRequest) -> wire::MemberRemoveResponse;
        member_update(wire::MemberUpdateRequest) -> wire::MemberUpdateResponse;
        member_promote(wire::MemberPromoteRequest) -> wire::MemberPromoteResponse;
    }
}
