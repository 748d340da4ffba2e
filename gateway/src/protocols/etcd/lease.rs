//! etcd's Lease service.

use internal_proto::{LeaseId, Request, Response};
use proto::etcdserverpb as wire;
use tonic::{Status, Streaming};

use super::caller::Caller;
use super::keep_alive::{self, KeepAliveStream};
use super::{convert, error};
use crate::stack::Handle;

/// Serves Lease through a stack.
pub(super) struct Lease<S>(Caller<S>);

impl<S: Handle> Lease<S> {
    /// Calls go through `caller`.
    #[must_use]
    pub(super) const fn new(caller: Caller<S>) -> Self {
        Self(caller)
    }
}

#[tonic::async_trait]
impl<S: Handle> wire::lease_server::Lease for Lease<S> {
    type LeaseKeepAliveStream = KeepAliveStream;

    async fn lease_grant(
        &self,
        request: tonic::Request<wire::LeaseGrantRequest>,
    ) -> Result<tonic::Response<wire::LeaseGrantResponse>, Status> {
        let context = self.0.context(request.metadata());
        let call = Request::LeaseGrant(convert::lease_grant(request.get_ref()));
        let answer = self.0.call(context, call).await?;
        let Response::LeaseGrant(lease) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        Ok(tonic::Response::new(wire::LeaseGrantResponse {
            header: Some(self.0.header(&answer.stamp, answer.stamp.revision)),
            id: lease.id.0,
            ttl: lease.ttl,
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: tonic::Request<wire::LeaseRevokeRequest>,
    ) -> Result<tonic::Response<wire::LeaseRevokeResponse>, Status> {
        let context = self.0.context(request.metadata());
        let answer = self.0.call(context, Request::LeaseRevoke(LeaseId(request.get_ref().id))).await?;
        let Response::LeaseRevoke = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let header = Some(self.0.header(&answer.stamp, answer.stamp.revision));
        Ok(tonic::Response::new(wire::LeaseRevokeResponse { header }))
    }

    async fn lease_keep_alive(
        &self,
        request: tonic::Request<Streaming<wire::LeaseKeepAliveRequest>>,
    ) -> Result<tonic::Response<KeepAliveStream>, Status> {
        Ok(tonic::Response::new(keep_alive::stream(self.0.clone(), request.into_inner())))
    }

    async fn lease_time_to_live(
        &self,
        request: tonic::Request<wire::LeaseTimeToLiveRequest>,
    ) -> Result<tonic::Response<wire::LeaseTimeToLiveResponse>, Status> {
        let context = self.0.context(request.metadata());
        let call = Request::LeaseTimeToLive(convert::lease_time_to_live(request.get_ref()));
        let answer = self.0.call(context, call).await?;
        let Response::LeaseTimeToLive(lease) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        Ok(tonic::Response::new(wire::LeaseTimeToLiveResponse {
            header: Some(self.0.header(&answer.stamp, answer.stamp.revision)),
            id: lease.id.0,
            ttl: lease.ttl,
            granted_ttl: lease.granted_ttl,
            keys: lease.keys,
        }))
    }

    async fn lease_leases(
        &self,
        request: tonic::Request<wire::LeaseLeasesRequest>,
    ) -> Result<tonic::Response<wire::LeaseLeasesResponse>, Status> {
        let context = self.0.context(request.metadata());
        let answer = self.0.call(context, Request::LeaseLeases).await?;
        let Response::LeaseLeases(leases) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        Ok(tonic::Response::new(wire::LeaseLeasesResponse {
            header: Some(self.0.header(&answer.stamp, answer.stamp.revision)),
            leases: leases.into_iter().map(|lease| wire::LeaseStatus { id: lease.0 }).collect(),
        }))
    }
}
