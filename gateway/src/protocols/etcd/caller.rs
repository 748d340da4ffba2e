//! The way from a handler into the stack: what every RPC does with its metadata, once.
//!
//! ```text
//!  metadata ──admit──► Context ──┐
//!  message ──validate, convert──► Call ──stack──► Answer ──answer──► message
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use internal_proto::{Answer, Error, Request, Response, Revision, Stamp};
use proto::etcdserverpb::ResponseHeader;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::answer::Identity;
use super::error;
use crate::call::{Call, Context, Protocol, RequestId};
use crate::stack::Handle;

/// What the operator and the cluster decide about the etcd protocol.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whom headers name.
    pub identity: Identity,
    /// What one request may hold.
    pub limits: Limits,
}

/// What one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a write, as etcd would log it: `--max-request-bytes`.
    pub request_bytes_max: usize,
    /// Operations of each list of a transaction: `--max-txn-ops`.
    pub operations_max: usize,
}

/// etcd receives messages so many bytes above the limit for writes, to refuse those with an error of its own.
const RECEIVE_OVERHEAD: usize = 512 * 1024;

impl Limits {
    /// The largest message that is received, in bytes.
    #[must_use]
    pub const fn receive_bytes_max(&self) -> usize {
        self.request_bytes_max.saturating_add(RECEIVE_OVERHEAD)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_bytes_max: 1_572_864, operations_max: 128 }
    }
}

/// Makes calls for the services of one listener.
#[derive(Clone)]
pub struct Caller<S> {
    stack: S,
    settings: Settings,
    request_ids: Arc<AtomicU64>,
}

impl<S: Handle> Caller<S> {
    /// Calls go into `stack`.
    #[must_use]
    pub fn new(stack: S, settings: Settings) -> Self {
        Self { stack, settings, request_ids: Arc::default() }
    }

    /// What one request may hold.
    pub(super) const fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// A full header.
    pub(super) fn header(&self, stamp: &Stamp, revision: Revision) -> ResponseHeader {
        self.settings.identity.header(stamp, revision)
    }

    /// Checks what comes before the message itself and gives the request its context.
    ///
    /// # Errors
    /// The status of [`Error::InvalidClientApiVersion`], or of [`Error::NoLeader`] where the client insists on a leader.
    pub(super) async fn admit(&self, metadata: &MetadataMap) -> Result<Context, Status> {
        let version_is_text =
            metadata.get(CLIENT_API_VERSION).is_none_or(|version| std::str::from_utf8(version.as_bytes()).is_ok());
        if !version_is_text {
            return Err(error::status(Error::InvalidClientApiVersion));
        }
        let context = self.context(metadata.get(TIMEOUT).and_then(|timeout| parse_timeout(timeout.as_bytes())));
        if metadata.get(REQUIRE_LEADER).is_some_and(|value| value.as_bytes() == b"true") {
            self.require_leader(context).await?;
        }
        Ok(context)
    }

    /// The context of a request without metadata, or of a further one of a stream.
    pub(super) fn context(&self, timeout: Option<Duration>) -> Context {
        Context {
            id: RequestId(self.request_ids.fetch_add(1, Ordering::Relaxed)),
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            protocol: Protocol::Etcd,
        }
    }

    async fn require_leader(&self, context: Context) -> Result<(), Status> {
        match self.call(context, Request::Status).await?.response {
            Response::Status(status) if status.leader.is_none() => Err(error::status(Error::NoLeader)),
            _ => Ok(()),
        }
    }

    /// Sends a request through the stack.
    ///
    /// # Errors
    /// The status of the error that the stack answers.
    pub(super) async fn call(&self, context: Context, request: Request) -> Result<Answer, Status> {
        self.ask(context, request).await.map_err(error::status)
    }

    /// Sends a request through the stack. The future owns what it needs.
    pub(super) fn ask(
        &self,
        context: Context,
        request: Request,
    ) -> impl Future<Output = Result<Answer, Error>> + Send + use<S> {
        // Layers are always ready: what they have no room for they refuse in the answer.
        self.stack.clone().call(Call { request, context })
    }
}

const CLIENT_API_VERSION: &str = "client-api-version";
const REQUIRE_LEADER: &str = "hasleader";
const TIMEOUT: &str = "grpc-timeout";

/// gRPC's own form of a duration: up to eight digits and a unit.
fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        assert_eq!(parse_timeout(b"7S"), Some(Duration::from_secs(7)));
        assert_eq!(parse_timeout(b"1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for malformed in [&b""[..], b"S", b"5", b"-1S", b"123456789S", b"5x"] {
            assert_eq!(parse_timeout(malformed), None);
        }
    }
}
