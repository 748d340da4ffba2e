//! All gRPC services behind one entrance, which finds the service by the path.
//!
//! ```text
//!  POST /etcdserverpb.KV/Put ─► methods["/etcdserverpb.KV/Put"] ─► KvServer
//!                                        └─ metrics        body ─► receive limit
//! ```
//!
//! A table instead of a router: one look-up gives service and metrics, and nothing is allocated on the way.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use prometheus::Registry;
use proto::etcdserverpb::auth_server::AuthServer;
use proto::etcdserverpb::cluster_server::ClusterServer;
use proto::etcdserverpb::kv_server::KvServer;
use proto::etcdserverpb::lease_server::LeaseServer;
use proto::etcdserverpb::maintenance_server::MaintenanceServer;
use proto::grpc::health::v1::health_server::HealthServer;
use proto::v3electionpb::election_server::ElectionServer;
use proto::v3lockpb::lock_server::LockServer;
use tonic::body::Body as TonicBody;
use tonic::codegen::BoxFuture;
use tower::Service;

use super::admission::Admission;
use super::caller::Caller;
use super::receive_limit::Limited;
use super::rpc_metrics::{MethodMetrics, RpcMetrics};
use super::watch::Watches;
use super::{auth, cluster, election, error, health, kv, lease, lock, maintenance};
use crate::stack::Handle;

/// tonic's own limits are out of reach: `receive_limit` sets what is received, and etcd sends up to 2 GiB.
const NO_LIMIT: usize = usize::MAX;

/// The gRPC services of etcd, cheap to clone.
pub(super) struct Grpc<S, W>(Arc<Services<S, W>>);

impl<S, W> Clone for Grpc<S, W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Services<S, W> {
    caller: Caller<S>,
    methods: HashMap<String, Method>,
    receive_bytes_max: usize,
    kv: KvServer<kv::Kv<S>>,
    watch: W,
    lease: LeaseServer<lease::Lease<S>>,
    cluster: ClusterServer<cluster::Cluster<S>>,
    maintenance: MaintenanceServer<maintenance::Maintenance<S>>,
    auth: AuthServer<auth::Auth>,
    lock: LockServer<lock::Lock>,
    election: ElectionServer<election::Election>,
    health: HealthServer<health::Health>,
}

struct Method {
    service: ServiceName,
    metrics: Arc<MethodMetrics>,
}

#[derive(Clone, Copy)]
enum ServiceName {
    Kv,
    Watch,
    Lease,
    Cluster,
    Maintenance,
    Auth,
    Lock,
    Election,
    Health,
}

impl ServiceName {
    fn of(full_name: &str) -> Option<Self> {
        Some(match full_name {
            "etcdserverpb.KV" => Self::Kv,
            "etcdserverpb.Watch" => Self::Watch,
            "etcdserverpb.Lease" => Self::Lease,
            "etcdserverpb.Cluster" => Self::Cluster,
            "etcdserverpb.Maintenance" => Self::Maintenance,
            "etcdserverpb.Auth" => Self::Auth,
            "v3lockpb.Lock" => Self::Lock,
            "v3electionpb.Election" => Self::Election,
            "grpc.health.v1.Health" => Self::Health,
            _ => return None,
        })
    }
}

impl<S: Handle, W: Watches> Grpc<S, W> {
    /// The services, calling through `caller`, with metrics in `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub(super) fn new(caller: &Caller<S>, watch: W, registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Services {
            caller: caller.clone(),
            methods: methods(&RpcMetrics::new(registry)?),
            receive_bytes_max: caller.config().receive_limit(),
            kv: KvServer::new(kv::Kv::new(caller.clone())).max_decoding_message_size(NO_LIMIT),
            watch,
            lease: LeaseServer::new(lease::Lease::new(caller.clone())).max_decoding_message_size(NO_LIMIT),
            cluster: ClusterServer::new(cluster::Cluster::new(caller.clone())).max_decoding_message_size(NO_LIMIT),
            maintenance: MaintenanceServer::new(maintenance::Maintenance::new(caller.clone()))
                .max_decoding_message_size(NO_LIMIT),
            auth: AuthServer::new(auth::Auth).max_decoding_message_size(NO_LIMIT),
            lock: LockServer::new(lock::Lock).max_decoding_message_size(NO_LIMIT),
            election: ElectionServer::new(election::Election).max_decoding_message_size(NO_LIMIT),
            health: HealthServer::new(health::Health).max_decoding_message_size(NO_LIMIT),
        })))
    }
}

impl<S, W> Grpc<S, W> {
    /// The largest message that is received, in bytes.
    pub(super) fn receive_bytes_max(&self) -> usize {
        self.0.receive_bytes_max
    }
}

fn methods(metrics: &RpcMetrics) -> HashMap<String, Method> {
    let mut methods = HashMap::new();
    for descriptor in proto::descriptors().services() {
        let Some(service) = ServiceName::of(descriptor.full_name()) else { continue };
        for method in descriptor.methods() {
            let path = format!("/{}/{}", descriptor.full_name(), method.name());
            methods.insert(path, Method { service, metrics: metrics.method(&method) });
        }
    }
    methods
}

impl<S, W, B> Service<Request<B>> for Grpc<S, W>
where
    S: Handle,
    W: Watches,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<TonicBody>;
    type Error = Infallible;
    type Future = Responding;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Responding {
        let services = &*self.0;
        let Some(method) = services.methods.get(request.uri().path()) else {
            return Responding::Refused(Some(refuse(request.uri().path()).into_http()));
        };
        let start = method.metrics.start();
        let admission = Admission::of(request.headers());
        let request = request.map(|body| Limited::new(body, services.receive_bytes_max));
        // A clone of a service counts a reference; its future owns everything.
        let response = match method.service {
            ServiceName::Kv => services.kv.clone().call(request),
            ServiceName::Watch => services.watch.respond(request),
            ServiceName::Lease => services.lease.clone().call(request),
            ServiceName::Cluster => services.cluster.clone().call(request),
            ServiceName::Maintenance => services.maintenance.clone().call(request),
            ServiceName::Auth => services.auth.clone().call(request),
            ServiceName::Lock => services.lock.clone().call(request),
            ServiceName::Election => services.election.clone().call(request),
            ServiceName::Health => services.health.clone().call(request),
        };
        let response = admission.before(response, &services.caller);
        Responding::Called { response, metrics: Arc::clone(&method.metrics), start }
    }
}

/// Why a path is not served.
fn refuse(path: &str) -> tonic::Status {
    let Some((service, method)) = path.trim_start_matches('/').rsplit_once('/') else {
        return error::malformed_method(path);
    };
    error::unknown_method(service, method, ServiceName::of(service).is_some())
}

/// A response on its way.
pub(super) enum Responding {
    /// The service is asked.
    Called {
        /// Its answer.
        response: BoxFuture<Response<TonicBody>, Infallible>,
        /// Where it is counted.
        metrics: Arc<MethodMetrics>,
        /// When it was asked.
        start: Instant,
    },
    /// There is no such service. `None` once taken.
    Refused(Option<Response<TonicBody>>),
}

impl Future for Responding {
    type Output = Result<Response<TonicBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Called { response, metrics, start } => {
                let Ok(response) = ready!(response.as_mut().poll(context));
                Poll::Ready(Ok(metrics.respond(*start, response)))
            }
            Self::Refused(response) => Poll::Ready(Ok(response.take().unwrap_or_default())),
        }
    }
}
