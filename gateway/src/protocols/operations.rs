//! What operators and their tools ask of any process: `/metrics`, `/health`, `/readyz` and `/livez`.
//!
//! ```text
//!  /health             can it do its work?     503 and the reason if not
//!  /readyz, /livez     may it be given work, and is it worth keeping? (probes)
//! ```
//!
//! Bodies, methods and headers are etcd's to the byte, because probes compare them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::routing::any;
use prometheus::{IntCounter, Opts, Registry, TextEncoder};

use super::probes::{self, Check};

/// A check under way; the error is the reason why a process cannot do its work.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A process whose condition can be asked for.
pub trait Condition: Send + Sync + 'static {
    /// Whether it can do its work. The query is what follows the question mark in the URL.
    fn health<'a>(&'a self, query: Option<&'a str>) -> Checking<'a>;

    /// What has to hold for it to be left running.
    fn liveness(&self) -> &'static [Check];

    /// What has to hold for it to be given work.
    fn readiness(&self) -> &'static [Check];

    /// Whether one of these holds.
    fn check(&self, check: Check) -> Checking<'_>;
}

/// The routes of one process, for any of its listeners. A clone counts the same checks.
#[derive(Clone)]
pub struct Operations {
    condition: Arc<dyn Condition>,
    registry: Registry,
    successes: IntCounter,
    failures: IntCounter,
}

impl Operations {
    /// The condition, and metrics out of `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(condition: Arc<dyn Condition>, registry: Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounter::with_opts(Opts::new(name, help));
        let successes = counter("etcd_server_health_success", "Health checks that succeeded.")?;
        let failures = counter("etcd_server_health_failures", "Health checks that failed.")?;
        registry.register(Box::new(successes.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { condition, registry, successes, failures })
    }

    /// Whose condition it is.
    pub(super) fn condition(&self) -> &dyn Condition {
        &*self.condition
    }

    /// The routes.
    pub fn routes(&self) -> Router {
        Router::new()
            .merge(probes::routes("/livez", self.condition.liveness()))
            .merge(probes::routes("/readyz", self.condition.readiness()))
            .route("/health", any(serve_health))
            .route("/metrics", any(serve_metrics))
            .with_state(self.clone())
            .fallback(not_found)
    }
}

async fn serve_health(State(operations): State<Operations>, request: Request<Body>) -> Response<Body> {
    if request.method() != Method::GET {
        return not_allowed();
    }
    match operations.condition.health(request.uri().query()).await {
        Ok(()) => {
            operations.successes.inc();
            respond(TEXT, r#"{"health":"true","reason":""}"#.into())
        }
        Err(reason) => {
            operations.failures.inc();
            tracing::warn!(reason, "health check failed");
            let body = serde_json::json!({ "health": "false", "reason": reason });
            failure(StatusCode::SERVICE_UNAVAILABLE, &body.to_string())
        }
    }
}

async fn serve_metrics(State(operations): State<Operations>) -> Response<Body> {
    match TextEncoder::new().encode_to_string(&operations.registry.gather()) {
        Ok(text) => respond("text/plain; version=0.0.4; charset=utf-8", text.into()),
        Err(problem) => failure(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
    }
}

/// For paths that no route has.
pub(super) async fn not_found() -> Response<Body> {
    failure(StatusCode::NOT_FOUND, "404 page not found")
}

/// What answers for people are.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// For methods other than GET.
pub(super) fn not_allowed() -> Response<Body> {
    let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    response
}

/// A failure as Go's HTTP server words it, the line's end included.
pub(super) fn failure(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = respond(TEXT, format!("{text}\n").into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A body of a type.
pub(super) fn respond(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
