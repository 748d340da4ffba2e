//! etcd's KV service.

use internal_proto::{Request, Response};
use proto::etcdserverpb as wire;
use tonic::Status;

use super::caller::Caller;
use super::range_stream::{self, RangeStream};
use super::{answer, convert, error, validate};
use crate::stack::Handle;

/// Serves KV through a stack.
pub(super) struct Kv<S>(Caller<S>);

impl<S: Handle> Kv<S> {
    /// Calls go through `caller`.
    #[must_use]
    pub(super) const fn new(caller: Caller<S>) -> Self {
        Self(caller)
    }
}

#[tonic::async_trait]
impl<S: Handle> wire::kv_server::Kv for Kv<S> {
    type RangeStreamStream = RangeStream;

    async fn range(
        &self,
        request: tonic::Request<wire::RangeRequest>,
    ) -> Result<tonic::Response<wire::RangeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.0.context(&metadata);
        validate::range(&request).map_err(error::status)?;
        let answer = self.0.call(context, Request::Range(convert::range(&request))).await?;
        let Response::Range(response) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let header = self.0.header(&answer.stamp, response.revision);
        Ok(tonic::Response::new(answer::range(header, &request, response)))
    }

    async fn range_stream(
        &self,
        request: tonic::Request<wire::RangeRequest>,
    ) -> Result<tonic::Response<RangeStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.0.context(&metadata);
        validate::range_stream(&request).map_err(error::status)?;
        Ok(tonic::Response::new(range_stream::stream(self.0.clone(), context, request)))
    }

    async fn put(
        &self,
        request: tonic::Request<wire::PutRequest>,
    ) -> Result<tonic::Response<wire::PutResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.0.context(&metadata);
        validate::put(&request).map_err(error::status)?;
        validate::size(&request, self.0.config().max_request_bytes).map_err(error::status)?;
        let answer = self.0.call(context, Request::Put(convert::put(&request))).await?;
        let Response::Put(response) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let header = self.0.header(&answer.stamp, response.revision);
        Ok(tonic::Response::new(answer::put(header, response)))
    }

    async fn delete_range(
        &self,
        request: tonic::Request<wire::DeleteRangeRequest>,
    ) -> Result<tonic::Response<wire::DeleteRangeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.0.context(&metadata);
        validate::delete_range(&request).map_err(error::status)?;
        validate::size(&request, self.0.config().max_request_bytes).map_err(error::status)?;
        let answer = self.0.call(context, Request::DeleteRange(convert::delete_range(&request))).await?;
        let Response::DeleteRange(response) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let header = self.0.header(&answer.stamp, response.revision);
        Ok(tonic::Response::new(answer::delete_range(header, response)))
    }

    async fn txn(
        &self,
        request: tonic::Request<wire::TxnRequest>,
    ) -> Result<tonic::Response<wire::TxnResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.0.context(&metadata);
        let config = self.0.config();
        validate::txn(&request, config.max_txn_ops).map_err(error::status)?;
        let call = Request::Txn(convert::txn(&request));
        if call.route() == internal_proto::Route::Write {
            validate::size(&request, config.max_request_bytes).map_err(error::status)?;
        }
        let answer = self.0.call(context, call).await?;
        let Response::Txn(response) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let header = self.0.header(&answer.stamp, response.revision);
        let response = answer::txn(header, &request, response).ok_or_else(|| error::mismatched(answer.stamp))?;
        Ok(tonic::Response::new(response))
    }

    async fn compact(
        &self,
        request: tonic::Request<wire::CompactionRequest>,
    ) -> Result<tonic::Response<wire::CompactionResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let context = self.0.context(&metadata);
        let answer = self.0.call(context, Request::Compact(convert::compact(&request))).await?;
        let Response::Compact = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let header = self.0.header(&answer.stamp, answer.stamp.revision);
        Ok(tonic::Response::new(wire::CompactionResponse { header: Some(header) }))
    }
}
