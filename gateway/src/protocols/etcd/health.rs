//! gRPC's health service: the server as a whole, named "", is serving as long as it answers.

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use proto::grpc::health::v1 as wire;
use tonic::Status;
use wire::health_check_response::ServingStatus;

use super::error;

/// Answers health checks.
pub(super) struct Health;

const fn response(status: ServingStatus) -> wire::HealthCheckResponse {
    wire::HealthCheckResponse { status: status as i32 }
}

#[tonic::async_trait]
impl wire::health_server::Health for Health {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: tonic::Request<wire::HealthCheckRequest>,
    ) -> Result<tonic::Response<wire::HealthCheckResponse>, Status> {
        if request.get_ref().service.is_empty() {
            Ok(tonic::Response::new(response(ServingStatus::Serving)))
        } else {
            Err(error::unknown_health_service())
        }
    }

    async fn list(
        &self,
        _request: tonic::Request<wire::HealthListRequest>,
    ) -> Result<tonic::Response<wire::HealthListResponse>, Status> {
        let statuses = HashMap::from([(String::new(), response(ServingStatus::Serving))]);
        Ok(tonic::Response::new(wire::HealthListResponse { statuses }))
    }

    /// The status of a service, and nothing more: it does not change while the process runs.
    async fn watch(
        &self,
        request: tonic::Request<wire::HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let known = request.get_ref().service.is_empty();
        let status = if known { ServingStatus::Serving } else { ServingStatus::ServiceUnknown };
        let statuses = stream::once(std::future::ready(Ok(response(status)))).chain(stream::pending());
        Ok(tonic::Response::new(Box::pin(statuses)))
    }
}
