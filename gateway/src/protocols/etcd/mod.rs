//! The etcd protocol: gRPC, its JSON form, and the HTTP endpoints around them.
//!
//! ```text
//!                 ┌ application/grpc ─► grpc ─► kv lease cluster maintenance … ┐
//!  listener ─HTTP─┤                      ▲                    check → Call → translate ─► stack
//!                 └ everything else ─► http ─► json (in process)               ┘
//! ```
//!
//! Metadata is checked once for all services (`admission`). A handler checks (`validate`), translates (`convert`),
//! calls (`caller`) and translates back (`answer`); errors get their codes and texts in `error` alone.

mod admission;
mod alarm;
mod answer;
mod auth;
mod caller;
mod cluster;
mod condition;
mod convert;
mod election;
pub mod error;
mod grpc;
mod health;
mod http;
mod json;
mod keep_alive;
mod kv;
mod later;
mod lease;
mod limited_sort;
mod lock;
mod maintenance;
mod overlap;
mod range_stream;
mod receive_limit;
mod redirect;
mod rpc_metrics;
mod validate;
mod watch;
mod watch_codec;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response, Version, header};
use axum::Router;
use axum::routing::future::RouteFuture;
use http_body_util::Either;
use hyper::body::Incoming;
use prometheus::Registry;
use tower::Service;

pub use answer::Identity;
pub use caller::Caller;
use grpc::{Grpc, Responding};
pub use watch::{WatchService, Watches};

use crate::protocols::operations::Operations;
use crate::stack::Handle;

/// The version of etcd that clients may take this server for.
pub const VERSION: &str = "3.7.3";

/// The version that all members of the cluster speak.
const CLUSTER_VERSION: &str = "3.7.0";

/// The version of the format of etcd's storage.
const STORAGE_VERSION: &str = "3.7.0";

/// Serves all of the etcd protocol on one port. One clone per connection.
pub struct Etcd<S, W> {
    grpc: Grpc<S, W>,
    http: Router,
    operations: Operations,
}

impl<S, W> Clone for Etcd<S, W> {
    fn clone(&self) -> Self {
        Self { grpc: self.grpc.clone(), http: self.http.clone(), operations: self.operations.clone() }
    }
}

impl<S: Handle, W: Watches> Etcd<S, W> {
    /// The protocol over a stack, with watches from `watch` and metrics in `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(caller: Caller<S>, watch: W, registry: &Registry) -> Result<Self, prometheus::Error> {
        let grpc = Grpc::new(&caller, watch, registry)?;
        let json_gateway = caller.config().json_gateway;
        let operations = Operations::new(Arc::new(caller), registry.clone())?;
        let http = http::routes(&operations, &grpc, json_gateway);
        Ok(Self { grpc, http, operations })
    }

    /// What operators ask, for listeners of their own.
    pub const fn operations(&self) -> &Operations {
        &self.operations
    }
}

/// A body from gRPC or from everything else.
pub type EtcdBody = Either<tonic::body::Body, axum::body::Body>;

impl<S: Handle, W: Watches> Service<Request<Incoming>> for Etcd<S, W> {
    type Response = Response<EtcdBody>;
    type Error = Infallible;
    type Future = Serving;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Serving {
        if is_grpc(&request) {
            Serving(Source::Grpc(self.grpc.call(request)))
        } else {
            Serving(Source::Http(self.http.call(request)))
        }
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    request.version() == Version::HTTP_2
        && content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// A response on its way.
pub struct Serving(Source);

enum Source {
    Grpc(Responding),
    Http(RouteFuture<Infallible>),
}

impl Future for Serving {
    type Output = Result<Response<EtcdBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Source::Grpc(response) => Pin::new(response).poll(context).map_ok(|response| response.map(Either::Left)),
            Source::Http(response) => Pin::new(response).poll(context).map_ok(|response| response.map(Either::Right)),
        }
    }
}
