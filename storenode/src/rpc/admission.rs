//! Who may talk to this node at all: checked once for every call, before any service sees it.
//!
//! ```text
//!  format we know? ─► the cluster's token? ─► this cluster? ─► served
//!       └─────────────────┴──────────────────────┴──────────► refused by name, logged when the reason changes
//! ```
//!
//! Invariant: nothing is served without the token, because authorization happened in the gateway that calls.

use std::collections::BTreeMap;
use std::net::IpAddr;

use internal_proto::introduction::{CLUSTER_KEY, FORMAT, FORMAT_KEY, MEMBER_KEY, TOKEN_KEY};
use internal_proto::{ClusterId, MemberId};
use parking_lot::Mutex;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// Callers whose last refusal is remembered, so that it is logged once: more than a cluster has nodes and gateways.
const MAX_REMEMBERED: usize = 1_000;

/// The check, and what it refused last.
#[derive(Debug)]
pub struct Admission {
    cluster: ClusterId,
    token: String,
    refusals: Refusals,
}

/// Who calls, as far as that can be told.
type Caller = (Option<IpAddr>, Option<MemberId>);

/// What callers were told last, so that a refusal is logged once and not with every attempt.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<Caller, String>>);

impl Admission {
    /// Admits callers of this cluster that know its token.
    #[must_use]
    pub fn new(cluster: ClusterId, token: &str) -> Self {
        Self { cluster, token: token.to_owned(), refusals: Refusals::default() }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// Why the caller is not served, in words for its log.
    pub fn check(&self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = (request.remote_addr().map(|address| address.ip()), member(request.metadata(), MEMBER_KEY));
        match self.judge(request.metadata()) {
            Ok(()) => {
                self.refusals.forget(caller);
                Ok(request)
            }
            Err(status) => {
                self.refusals.note(caller, status.message());
                Err(status)
            }
        }
    }

    fn judge(&self, metadata: &MetadataMap) -> Result<(), Status> {
        match text(metadata, FORMAT_KEY).and_then(|format| format.parse::<u32>().ok()) {
            Some(format) if (1..=FORMAT).contains(&format) => {}
            Some(format) => {
                return Err(Status::failed_precondition(format!(
                    "the caller speaks format {format}, this node formats up to {FORMAT}: update the older program"
                )));
            }
            None => return Err(Status::unauthenticated("the caller does not introduce itself: not part of a cluster")),
        }
        let token = metadata.get_bin(TOKEN_KEY).and_then(|token| token.to_bytes().ok());
        if !token.is_some_and(|token| is_same(&token, self.token.as_bytes())) {
            return Err(Status::unauthenticated(
                "wrong cluster token: start all of a cluster with the same --initial-cluster-token",
            ));
        }
        let cluster = text(metadata, CLUSTER_KEY);
        match cluster.filter(|&cluster| cluster != self.cluster.to_string()) {
            Some(other) => Err(Status::permission_denied(format!(
                "wrong cluster: this node belongs to {}, the caller to {other}",
                self.cluster
            ))),
            None => Ok(()),
        }
    }
}

impl Refusals {
    /// Logs a refusal if its reason is new.
    pub(crate) fn note(&self, caller: Caller, reason: &str) {
        let mut refused = self.0.lock();
        if refused.get(&caller).is_some_and(|last| last == reason) {
            return;
        }
        if refused.len() >= MAX_REMEMBERED {
            refused.clear();
        }
        refused.insert(caller, reason.to_owned());
        let address = caller.0.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let member = caller.1.map_or_else(|| "none".to_owned(), |member| member.to_string());
        tracing::warn!(%address, %member, reason, "a caller was refused");
    }

    /// The caller is served now.
    pub(crate) fn forget(&self, caller: Caller) {
        self.0.lock().remove(&caller);
    }
}

/// A member's id in a call's metadata.
pub(crate) fn member(metadata: &MetadataMap, key: &str) -> Option<MemberId> {
    u64::from_str_radix(text(metadata, key)?, 16).ok().map(MemberId)
}

/// A text in a call's metadata.
pub(crate) fn text<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    metadata.get(key)?.to_str().ok()
}

/// Compares secrets in a time that tells nothing of where they differ.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    fn admission() -> Admission {
        Admission::new(ClusterId(0xc1), "secret")
    }

    fn call(format: &str, token: &str, cluster: &str) -> Request<()> {
        let mut request = Request::new(());
        let metadata = request.metadata_mut();
        metadata.insert(FORMAT_KEY, format.parse().unwrap());
        metadata.insert_bin(TOKEN_KEY, MetadataValue::from_bytes(token.as_bytes()));
        metadata.insert(CLUSTER_KEY, cluster.parse().unwrap());
        request
    }

    #[test]
    fn only_callers_of_the_cluster_are_served() {
        let refusal = |request| admission().check(request).unwrap_err().message().to_owned();
        assert!(admission().check(call("1", "secret", "c1")).is_ok());
        assert!(refusal(call("1", "guess", "c1")).starts_with("wrong cluster token"));
        assert!(refusal(call("1", "", "c1")).starts_with("wrong cluster token"));
        assert_eq!(refusal(call("1", "secret", "c2")), "wrong cluster: this node belongs to c1, the caller to c2");
        assert!(refusal(call("2", "secret", "c1")).starts_with("the caller speaks format 2"));
        assert!(refusal(Request::new(())).starts_with("the caller does not introduce itself"));
    }

    #[test]
    fn a_gateway_need_not_know_the_cluster() {
        let mut request = call("1", "secret", "c1");
        request.metadata_mut().remove(CLUSTER_KEY);
        assert!(admission().check(request).is_ok());
    }

    #[test]
    fn a_refusal_is_remembered_until_the_caller_is_served() {
        let admission = admission();
        for _ in 0..2 {
            admission.check(call("1", "guess", "c1")).unwrap_err();
            assert_eq!(admission.refusals.0.lock().len(), 1);
        }
        admission.check(call("1", "secret", "c1")).unwrap();
        assert!(admission.refusals.0.lock().is_empty());
    }
}
