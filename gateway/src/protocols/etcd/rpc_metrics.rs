//! grpc-go's metrics of every RPC, under the names that dashboards of etcd know.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use prost_reflect::MethodDescriptor;
use tonic::Code;

/// The metrics of all methods.
pub(super) struct RpcMetrics {
    started: IntCounterVec,
    handled: IntCounterVec,
    handling: HistogramVec,
}

const LABELS: [&str; 3] = ["grpc_type", "grpc_service", "grpc_method"];

impl RpcMetrics {
    /// Registers the metrics.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let started =
            IntCounterVec::new(Opts::new("grpc_server_started_total", "RPCs started on the server."), &LABELS)?;
        let handled = IntCounterVec::new(
            Opts::new("grpc_server_handled_total", "RPCs completed on the server, by outcome."),
            &["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
        )?;
        let handling = HistogramVec::new(
            HistogramOpts::new("grpc_server_handling_seconds", "Time from an RPC's start to its end on the server."),
            &LABELS,
        )?;
        registry.register(Box::new(started.clone()))?;
        registry.register(Box::new(handled.clone()))?;
        registry.register(Box::new(handling.clone()))?;
        Ok(Self { started, handled, handling })
    }

    /// One method's metrics, which exist from then on.
    pub(super) fn method(&self, method: &MethodDescriptor) -> Arc<MethodMetrics> {
        let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => "unary",
            (true, false) => "client_stream",
            (false, true) => "server_stream",
            (true, true) => "bidi_stream",
        };
        let labels = [kind, method.parent_service().full_name(), method.name()];
        let of_code = |code| self.handled.with_label_values(&[labels[0], labels[1], labels[2], code_name(code)]);
        Arc::new(MethodMetrics {
            streams: method.is_server_streaming(),
            started: self.started.with_label_values(&labels),
            handled: CODES.map(of_code),
            handling: self.handling.with_label_values(&labels),
        })
    }
}

/// One method's metrics.
pub(super) struct MethodMetrics {
    streams: bool,
    started: IntCounter,
    handled: [IntCounter; CODES.len()],
    handling: Histogram,
}

impl MethodMetrics {
    /// An RPC begins.
    pub(super) fn start(&self) -> Instant {
        self.started.inc();
        Instant::now()
    }

    fn end(&self, code: Code, duration: Duration) {
        if let Some(counter) = CODES.iter().position(|&known| known == code).map(|index| &self.handled[index]) {
            counter.inc();
        }
        self.handling.observe(duration.as_secs_f64());
    }

    /// An RPC has a response: it is over, unless it streams.
    pub(super) fn respond(
        self: &Arc<Self>,
        start: Instant,
        response: http::Response<tonic::body::Body>,
    ) -> http::Response<tonic::body::Body> {
        match code_of(response.headers()) {
            Some(code) => self.end(code, start.elapsed()),
            None if self.streams => {
                let metrics = Arc::clone(self);
                return response.map(|inner| tonic::body::Body::new(Recorded { inner, metrics, start, ended: false }));
            }
            None => self.end(Code::Ok, start.elapsed()),
        }
        response
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// A streamed answer; its end is the end of the RPC.
struct Recorded {
    inner: tonic::body::Body,
    metrics: Arc<MethodMetrics>,
    start: Instant,
    ended: bool,
}

impl Recorded {
    fn end(&mut self, code: Code) {
        if !self.ended {
            self.ended = true;
            self.metrics.end(code, self.start.elapsed());
        }
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(code_of(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => self.end(status.code()),
            None => self.end(Code::Ok),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Recorded {
    /// A stream that is dropped before its end was canceled by its client.
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

const CODES: [Code; 17] = [
    Code::Ok,
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

/// grpc-go's spelling.
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
