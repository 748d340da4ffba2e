//! The etcd protocol on a port of its own, over a small store in memory that knows only what these tests ask.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::config::Config;
use gateway::middleware::telemetry::TelemetryLayer;
use gateway::protocols::etcd::{Caller, Etcd, Identity, Watches};
use gateway::protocols::listener::{Options, serve};
use gateway::stack::stack;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use internal_proto::{ClusterId, MemberId};
use prometheus::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::codegen::BoxFuture;

use crate::store::Store;

/// Watches have a suite of their own.
#[derive(Clone)]
pub(crate) struct NoWatches;

impl Watches for NoWatches {
    fn respond<B>(&self, _: http::Request<B>) -> BoxFuture<http::Response<tonic::body::Body>, Infallible> {
        Box::pin(async { Ok(Status::unimplemented("no watches here").into_http()) })
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: oneshot::Sender<()>,
    pub(crate) ended: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::from(&Config::default())).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let registry = Registry::new();
        let telemetry = TelemetryLayer::new(&registry, Duration::from_millis(300)).unwrap();
        let stack = stack(Store::default(), telemetry, Duration::from_secs(7));
        let identity = Identity::member(ClusterId(1), MemberId(2));
        let caller = Caller::new(stack, identity, Arc::new(Config::default()));
        let service = Etcd::new(caller, NoWatches, &registry).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(serve(vec![listener], service, options, async {
            let _ = stopped.await;
        }));
        Self { address, shutdown, ended }
    }

    pub(crate) async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }
}

/// Status, content type and body of one HTTP/1 exchange.
pub(crate) async fn exchange(address: &str, method: &str, path: &str, body: String) -> (u16, String, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(bytes::Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, String::from_utf8(body.to_vec()).unwrap())
}
