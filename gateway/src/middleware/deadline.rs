//! Ends a call when its time is over.
//!
//! ```text
//!  client's deadline earlier ──► DeadlineExceeded
//!  server's timeout earlier  ──► Timeout
//! ```
//!
//! Invariant: a call that is answered at once costs no timer. A write whose time is over may still be applied.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use internal_proto::{Answer, CompactRequest, Error, Request};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{Layer, Service};

use crate::call::Call;

/// Makes [`Deadline`]s.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    server_timeout: Duration,
}

impl DeadlineLayer {
    /// No call takes longer than `server_timeout`: etcd's 5 s plus two election timeouts.
    #[must_use]
    pub const fn new(server_timeout: Duration) -> Self {
        Self { server_timeout }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, server_timeout: self.server_timeout }
    }
}

/// The layer in place.
#[derive(Clone, Debug)]
pub struct Deadline<S> {
    inner: S,
    server_timeout: Duration,
}

impl<S> Service<Call> for Deadline<S>
where
    S: Service<Call, Response = Answer, Error = Error>,
{
    type Response = Answer;
    type Error = Error;
    type Future = Expiring<S::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let server = if is_unbounded(&call.request) { None } else { Instant::now().checked_add(self.server_timeout) };
        let expiry = match (call.context.deadline.map(Instant::from_std), server) {
            (Some(client), Some(server)) if client < server => Some((client, Error::DeadlineExceeded)),
            (_, Some(server)) => Some((server, Error::Timeout)),
            (Some(client), None) => Some((client, Error::DeadlineExceeded)),
            (None, None) => None,
        };
        Expiring { inner: self.inner.call(call), expiry, timer: None }
    }
}

/// A physical compaction waits for the history to be gone, however long that takes.
const fn is_unbounded(request: &Request) -> bool {
    matches!(request, Request::Compact(CompactRequest { physical: true, .. }))
}

pin_project! {
    /// A call that ends at its expiry.
    pub struct Expiring<F> {
        #[pin]
        inner: F,
        expiry: Option<(Instant, Error)>,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for Expiring<F> {
    type Output = Result<Answer, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.inner.poll(context) {
            return Poll::Ready(answer);
        }
        let Some((expiry, error)) = *this.expiry else { return Poll::Pending };
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(expiry)));
        }
        match this.timer.as_pin_mut() {
            Some(timer) => timer.poll(context).map(|()| Err(error)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Context, Protocol, RequestId};
    use tower::service_fn;

    fn call(request: Request, deadline: Option<Duration>) -> Call {
        let deadline = deadline.map(|time| Instant::now().into_std() + time);
        Call { request, context: Context { id: RequestId(0), deadline, protocol: Protocol::Etcd } }
    }

    async fn expires(request: Request, deadline: Option<Duration>) -> Option<Error> {
        let never = service_fn(|_: Call| std::future::pending::<Result<Answer, Error>>());
        let mut layer = DeadlineLayer::new(Duration::from_millis(50)).layer(never);
        tokio::time::timeout(Duration::from_millis(500), layer.call(call(request, deadline)))
            .await
            .ok()
            .and_then(Result::err)
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_both_deadlines_ends_a_call() {
        assert_eq!(expires(Request::Status, None).await, Some(Error::Timeout));
        let sooner = Some(Duration::from_millis(5));
        assert_eq!(expires(Request::Status, sooner).await, Some(Error::DeadlineExceeded));
        let later = Some(Duration::from_secs(60));
        assert_eq!(expires(Request::Status, later).await, Some(Error::Timeout));
        let physical = CompactRequest { revision: internal_proto::Revision(1), physical: true };
        assert_eq!(expires(Request::Compact(physical), None).await, None);
    }
}
