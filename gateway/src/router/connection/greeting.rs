//! The first question to an address: who is there.

use std::time::Duration;

use internal_proto::admin::{AdminClient, Greeting, Nothing};
use tonic::Status;
use tonic::transport::Endpoint;

use super::{CONNECT_TIMEOUT, Introduction};

/// For connection and answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks who is there.
///
/// # Errors
/// Why there is no answer: nobody listens, or the node refuses this gateway.
pub async fn greet(url: &str, introduction: &Introduction) -> Result<Greeting, Status> {
    let endpoint =
        Endpoint::from_shared(url.to_owned()).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_WITHIN).connect_lazy();
    let mut request = tonic::Request::new(Nothing {});
    *request.metadata_mut() = introduction.0.clone();
    AdminClient::new(channel).greet(request).await.map(tonic::Response::into_inner)
}
