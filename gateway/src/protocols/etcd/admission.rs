//! What etcd checks of an RPC's metadata before it looks at a message.
//!
//! Every service is behind it, streams included; a stream is admitted once, when it begins.

use std::convert::Infallible;

use http::{HeaderMap, Response};
use internal_proto::Error;
use tonic::body::Body;
use tonic::codegen::BoxFuture;

use super::caller::Caller;
use super::error;
use crate::stack::Handle;

/// Names the client's version. Only its being text matters.
const CLIENT_API_VERSION: &str = "client-api-version";

/// Set to "true" by clients that would rather have an error than wait for a leader.
const REQUIRE_LEADER: &str = "hasleader";

/// What has to hold before an RPC is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing.
    Open,
    /// The cluster has a leader.
    WithLeader,
    /// It is not served.
    Refused(Error),
}

impl Admission {
    /// What the metadata asks for.
    pub(super) fn of(metadata: &HeaderMap) -> Self {
        let version_is_text =
            metadata.get(CLIENT_API_VERSION).is_none_or(|version| std::str::from_utf8(version.as_bytes()).is_ok());
        if !version_is_text {
            return Self::Refused(Error::InvalidClientApiVersion);
        }
        let with_leader = metadata.get(REQUIRE_LEADER).is_some_and(|value| value.as_bytes() == b"true");
        if with_leader { Self::WithLeader } else { Self::Open }
    }

    /// The response, or why there is none. Nothing of the RPC happens before it is admitted.
    pub(super) fn before<S: Handle>(
        self,
        response: BoxFuture<Response<Body>, Infallible>,
        caller: &Caller<S>,
    ) -> BoxFuture<Response<Body>, Infallible> {
        match self {
            Self::Open => response,
            Self::Refused(refusal) => Box::pin(std::future::ready(Ok(error::status(refusal).into_http()))),
            Self::WithLeader => {
                let caller = caller.clone();
                Box::pin(async move {
                    match caller.has_leader().await {
                        Ok(true) => response.await,
                        Ok(false) => Ok(error::status(Error::NoLeader).into_http()),
                        Err(failure) => Ok(error::status(failure).into_http()),
                    }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn metadata_decides_the_admission() {
        let of = |name: &'static str, value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static("no header"));
            Admission::of(&HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]))
        };
        assert_eq!(of("client-api-version", b"3.7.3"), Admission::Open);
        assert_eq!(of("client-api-version", b"\xff"), Admission::Refused(Error::InvalidClientApiVersion));
        assert_eq!(of("hasleader", b"true"), Admission::WithLeader);
        assert_eq!(of("hasleader", b"false"), Admission::Open);
    }
}
