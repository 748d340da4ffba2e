//! Counts, times and logs every call.
//!
//! Invariant: what is logged names the request, never its keys, values, tokens or passwords.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use internal_proto::{Answer, Error};
use pin_project_lite::pin_project;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use tower::{Layer, Service};

use crate::call::{Call, RequestId};

/// From 50 µs, what a read in memory takes, to 13 s, beyond every timeout.
const BUCKETS_START_SECONDS: f64 = 0.000_05;
const BUCKETS: usize = 19;

/// Makes [`Telemetry`]s that share their metrics.
#[derive(Clone)]
pub struct TelemetryLayer(Arc<Metrics>);

struct Metrics {
    calls: IntCounterVec,
    errors: IntCounterVec,
    methods: HashMap<&'static str, Method>,
    slow_call: Duration,
}

/// One method's metrics, found once.
struct Method {
    answered: IntCounter,
    duration: Histogram,
}

/// The methods there are, so that each metric exists from the start.
const METHODS: [&str; 12] = [
    "Range",
    "Put",
    "DeleteRange",
    "Txn",
    "Compact",
    "LeaseGrant",
    "LeaseRevoke",
    "LeaseKeepAlive",
    "LeaseTimeToLive",
    "LeaseLeases",
    "Status",
    "MemberList",
];

impl TelemetryLayer {
    /// Registers the metrics. Calls slower than `slow_call` are logged as warnings.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(registry: &Registry, slow_call: Duration) -> Result<Self, prometheus::Error> {
        let calls = IntCounterVec::new(
            Opts::new("metastore_requests_total", "Requests answered, by method and outcome."),
            &["method", "code"],
        )?;
        let errors = IntCounterVec::new(Opts::new("metastore_errors_total", "Errors answered, by kind."), &["type"])?;
        let durations = HistogramVec::new(
            HistogramOpts::new("metastore_request_duration_seconds", "Time from a request to its answer.")
                .buckets(prometheus::exponential_buckets(BUCKETS_START_SECONDS, 2.0, BUCKETS)?),
            &["method"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        let methods = METHODS.map(|name| {
            let answered = calls.with_label_values(&[name, "OK"]);
            (name, Method { answered, duration: durations.with_label_values(&[name]) })
        });
        Ok(Self(Arc::new(Metrics { calls, errors, methods: HashMap::from(methods), slow_call })))
    }
}

impl Metrics {
    fn record(&self, id: RequestId, method: &'static str, duration: Duration, error: Option<Error>) {
        if let Some(metrics) = self.methods.get(method) {
            metrics.duration.observe(duration.as_secs_f64());
            if error.is_none() {
                metrics.answered.inc();
            }
        }
        if let Some(error) = error {
            let kind = kind(error);
            self.calls.with_label_values(&[method, &kind]).inc();
            self.errors.with_label_values(&[&kind]).inc();
        }
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let error = error.map(tracing::field::display);
        if duration > self.slow_call {
            tracing::warn!(request_id = id.0, method, microseconds, error, "slow request");
        } else {
            tracing::debug!(request_id = id.0, method, microseconds, error, "request");
        }
    }
}

/// The error's name without what it carries, which could be anything.
fn kind(error: Error) -> String {
    let mut name = format!("{error:?}");
    name.truncate(name.find(|character: char| !character.is_alphanumeric()).unwrap_or(name.len()));
    name
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = Telemetry<S>;

    fn layer(&self, inner: S) -> Telemetry<S> {
        Telemetry { inner, metrics: self.0.clone() }
    }
}

/// The layer in place.
#[derive(Clone)]
pub struct Telemetry<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S> Service<Call> for Telemetry<S>
where
    S: Service<Call, Response = Answer, Error = Error>,
{
    type Response = Answer;
    type Error = Error;
    type Future = Recorded<S::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (id, method) = (call.context.id, call.request.name());
        let start = Instant::now();
        Recorded { inner: self.inner.call(call), metrics: self.metrics.clone(), id, method, start }
    }
}

pin_project! {
    /// A call that is recorded when it ends.
    pub struct Recorded<F> {
        #[pin]
        inner: F,
        metrics: Arc<Metrics>,
        id: RequestId,
        method: &'static str,
        start: Instant,
    }
}

impl<F: Future<Output = Result<Answer, Error>>> Future for Recorded<F> {
    type Output = Result<Answer, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(context));
        this.metrics.record(*this.id, this.method, this.start.elapsed(), answer.as_ref().err().copied());
        Poll::Ready(answer)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::call::{Context, Protocol};
    use internal_proto::Request;
    use tower::service_fn;

    #[tokio::test]
    async fn errors_are_counted_by_kind_without_their_content() {
        let registry = Registry::new();
        let refuse = service_fn(|_: Call| std::future::ready(Err(Error::NotLeader { hint: None })));
        let mut layer = TelemetryLayer::new(&registry, Duration::from_millis(300)).unwrap().layer(refuse);
        let context = Context { id: RequestId(1), deadline: None, protocol: Protocol::Etcd };
        layer.call(Call { request: Request::LeaseLeases, context }).await.unwrap_err();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains(r#"metastore_requests_total{code="NotLeader",method="LeaseLeases"} 1"#), "{text}");
        assert!(text.contains(r#"metastore_errors_total{type="NotLeader"} 1"#), "{text}");
        assert!(text.contains(r#"metastore_request_duration_seconds_count{method="LeaseLeases"} 1"#), "{text}");
    }
}
