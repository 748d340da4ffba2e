//! The way from a handler into the stack: what every RPC does with its metadata, once.
//!
//! ```text
//!  metadata ─────────► Context ──┐
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
use crate::config::Config;
use crate::stack::Handle;

/// Makes calls for the services of one listener.
#[derive(Clone)]
pub struct Caller<S> {
    stack: S,
    identity: Identity,
    config: Arc<Config>,
    request_ids: Arc<AtomicU64>,
}

impl<S: Handle> Caller<S> {
    /// Calls go into `stack`, headers name `identity`.
    #[must_use]
    pub fn new(stack: S, identity: Identity, config: Arc<Config>) -> Self {
        Self { stack, identity, config, request_ids: Arc::default() }
    }

    /// What clients may ask for.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// A full header.
    pub(super) fn header(&self, stamp: &Stamp, revision: Revision) -> ResponseHeader {
        self.identity.header(stamp, revision)
    }

    /// The context of a request with metadata.
    pub(super) fn context(&self, metadata: &MetadataMap) -> Context {
        let timeout = metadata.get(TIMEOUT).and_then(|timeout| parse_timeout(timeout.as_bytes()));
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Context { deadline, ..self.background() }
    }

    /// The context of a request without a deadline of its own.
    pub(super) fn background(&self) -> Context {
        let id = RequestId(self.request_ids.fetch_add(1, Ordering::Relaxed));
        Context { id, deadline: None, protocol: Protocol::Etcd }
    }

    /// Whether the cluster has a leader, as far as the node behind the stack knows.
    ///
    /// # Errors
    /// Those of the stack.
    pub(super) async fn has_leader(&self) -> Result<bool, Error> {
        let answer = self.ask(self.background(), Request::Status).await?;
        Ok(!matches!(answer.response, Response::Status(status) if status.leader.is_none()))
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
