//! What the client port serves beside gRPC: health, version, metrics and the JSON gateway.
//!
//! Bodies, methods and headers are etcd's to the byte, because probes and dashboards compare them.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, header};
use axum::middleware::{Next, from_fn};
use axum::routing::any;

use super::grpc::Grpc;
use super::watch::Watches;
use super::{CLUSTER_VERSION, STORAGE_VERSION, VERSION, json, redirect};
use crate::protocols::operations::{Operations, not_allowed, not_found, respond};
use crate::stack::Handle;

/// The routes of the client port for everything but gRPC.
pub(super) fn routes<S: Handle, W: Watches>(operations: &Operations, grpc: &Grpc<S, W>, json_gateway: bool) -> Router {
    let mut routes = operations.routes();
    if json_gateway {
        for path in ["/v3/", "/v3/{*path}", "/v3beta/", "/v3beta/{*path}"] {
            routes = routes.route(path, any(json::serve).with_state(grpc.clone()));
        }
    }
    routes
        .route("/version", any(serve_version))
        .fallback(not_found)
        .layer(from_fn(move |request: Request<Body>, next: Next| async move {
            match redirect::to_canonical(request.method(), request.uri(), json_gateway) {
                Some(response) => response,
                None => next.run(request).await,
            }
        }))
        .layer(from_fn(share_across_origins))
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

async fn serve_version(method: Method) -> Response<Body> {
    if method != Method::GET {
        return not_allowed();
    }
    let versions =
        format!(r#"{{"etcdserver":"{VERSION}","etcdcluster":"{CLUSTER_VERSION}","storage":"{STORAGE_VERSION}"}}"#);
    respond("application/json", versions.into())
}
