//! What the client port serves beside gRPC: health, version, metrics and the JSON gateway.
//!
//! Bodies, methods and headers are etcd's to the byte, because probes and dashboards compare them.

use std::collections::HashSet;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::routing::any;
use bytes::Bytes;
use internal_proto::{KeyRange, RangeRequest, Request as Question, Response as Reply};
use prometheus::{IntCounter, Opts, Registry, TextEncoder};
use proto::etcdserverpb::AlarmType;

use super::caller::Caller;
use super::grpc::Grpc;
use super::watch::Watches;
use super::{CLUSTER_VERSION, STORAGE_VERSION, VERSION, alarm, error, json, redirect};
use crate::stack::Handle;

/// The routes of the client port for everything but gRPC.
///
/// # Errors
/// When the registry has metrics of these names already.
pub(super) fn routes<S: Handle, W: Watches>(
    caller: Caller<S>,
    grpc: &Grpc<S, W>,
    registry: Registry,
) -> Result<Router, prometheus::Error> {
    let mut routes = Router::new();
    let json_gateway = caller.config().json_gateway;
    if json_gateway {
        for path in ["/v3/", "/v3/{*path}", "/v3beta/", "/v3beta/{*path}"] {
            routes = routes.route(path, any(json::serve).with_state(grpc.clone()));
        }
    }
    let health = Health::new(caller, &registry)?;
    Ok(routes
        .route("/health", any(serve_health).with_state(health))
        .route("/version", any(serve_version))
        .route("/metrics", any(serve_metrics).with_state(registry))
        .fallback(not_found)
        .layer(from_fn(move |request: Request<Body>, next: Next| async move {
            match redirect::to_canonical(request.method(), request.uri(), json_gateway) {
                Some(response) => response,
                None => next.run(request).await,
            }
        }))
        .layer(from_fn(share_across_origins)))
}

/// Adds the headers that let pages of any origin in, and answers their preflight requests.
async fn share_across_origins(request: Request<Body>, next: Next) -> Response<Body> {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight { Response::default() } else { next.run(request).await };
    let headers = response.headers_mut();
    let allow = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allow("accept, content-type, authorization"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow("POST, GET, OPTIONS, PUT, DELETE"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allow("*"));
    response
}

/// Checks the node behind this port, and counts the outcomes.
struct Health<S> {
    caller: Caller<S>,
    successes: IntCounter,
    failures: IntCounter,
}

impl<S: Clone> Clone for Health<S> {
    fn clone(&self) -> Self {
        let (successes, failures) = (self.successes.clone(), self.failures.clone());
        Self { caller: self.caller.clone(), successes, failures }
    }
}

impl<S: Handle> Health<S> {
    fn new(caller: Caller<S>, registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounter::with_opts(Opts::new(name, help));
        let successes = counter("etcd_server_health_success", "Health checks that succeeded.")?;
        let failures = counter("etcd_server_health_failures", "Health checks that failed.")?;
        registry.register(Box::new(successes.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { caller, successes, failures })
    }

    /// Why the node is not healthy, if so: alarms first, then the leader, then a read.
    async fn check(&self, query: &HealthQuery) -> Result<(), String> {
        if let Ok(answer) = self.caller.ask(self.caller.background(), Question::Status).await
            && let Reply::Status(status) = answer.response
        {
            for alarm in alarm::alarms(&status.errors) {
                if !query.exclude.contains(alarm.alarm().as_str_name()) {
                    return Err(format!("ALARM {}", alarm_name(alarm.alarm())));
                }
            }
            if status.leader.is_none() && !query.serializable {
                return Err("RAFT NO LEADER".to_owned());
            }
        }
        let read = RangeRequest {
            range: KeyRange::single(Bytes::from_static(b"health")),
            limit: 1,
            keys_only: true,
            serializable: query.serializable,
            ..RangeRequest::default()
        };
        let outcome = self.caller.ask(self.caller.background(), Question::Range(read)).await;
        outcome.map(|_| ()).map_err(|failure| format!("RANGE ERROR:{}", error::wire(failure).1))
    }
}

const fn alarm_name(alarm: AlarmType) -> &'static str {
    match alarm {
        AlarmType::Nospace => "NOSPACE",
        AlarmType::Corrupt => "CORRUPT",
        AlarmType::None => "UNKNOWN",
    }
}

/// What a health check looks at.
struct HealthQuery {
    exclude: HashSet<String>,
    serializable: bool,
}

impl HealthQuery {
    fn parse(query: Option<&str>) -> Self {
        let pairs = || query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let exclude = pairs().filter(|(name, _)| *name == "exclude").map(|(_, value)| value.to_owned()).collect();
        let first = pairs().find(|(name, _)| *name == "serializable");
        Self { exclude, serializable: first.is_some_and(|(_, value)| value == "true") }
    }
}

async fn serve_health<S: Handle>(State(health): State<Health<S>>, request: Request<Body>) -> Response<Body> {
    if request.method() != Method::GET {
        return not_allowed();
    }
    match health.check(&HealthQuery::parse(request.uri().query())).await {
        Ok(()) => {
            health.successes.inc();
            respond(TEXT, r#"{"health":"true","reason":""}"#.into())
        }
        Err(reason) => {
            health.failures.inc();
            tracing::warn!(reason, "health check failed");
            let body = serde_json::json!({ "health": "false", "reason": reason });
            failure(StatusCode::SERVICE_UNAVAILABLE, &body.to_string())
        }
    }
}

async fn serve_version(method: Method) -> Response<Body> {
    if method != Method::GET {
        return not_allowed();
    }
    let versions =
        format!(r#"{{"etcdserver":"{VERSION}","etcdcluster":"{CLUSTER_VERSION}","storage":"{STORAGE_VERSION}"}}"#);
    respond("application/json", versions.into())
}

async fn serve_metrics(State(registry): State<Registry>) -> Response<Body> {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => respond("text/plain; version=0.0.4; charset=utf-8", text.into()),
        Err(problem) => failure(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
    }
}

async fn not_found() -> Response<Body> {
    failure(StatusCode::NOT_FOUND, "404 page not found")
}

const TEXT: &str = "text/plain; charset=utf-8";

fn not_allowed() -> Response<Body> {
    let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    response
}

/// A failure as Go's HTTP server words it, the line's end included.
fn failure(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = respond(TEXT, format!("{text}\n").into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn respond(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
