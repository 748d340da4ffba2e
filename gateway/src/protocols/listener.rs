//! One port for everything: HTTP/1 and HTTP/2 with prior knowledge, told apart by their first bytes.
//!
//! ```text
//!  accept ─► permit ─► first bytes in time ─► HTTP/1 or HTTP/2 ─► service
//!    │                                              │
//!  shutdown, or the connection is old ────► GOAWAY, drain, then close what is left
//! ```
//!
//! Invariants: connections are bounded; one that sends nothing, or half a beginning, is dropped; one connection's
//! behavior never ends another; whoever has connected before the shutdown is served.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use super::coalesce::Coalesced;
use super::eager::Eager;
use crate::config::Config;

/// Small frames may take half of it; ten thousand watch creations in one burst have to fit (with the usual 64 KiB,
/// three thousand end the connection).
const CONNECTION_WINDOW: u32 = 16 << 20;

/// What one stream may have in flight: a request within etcd's default limit arrives in at most two windows.
const STREAM_WINDOW: u32 = 1 << 20;

/// A header block larger than this is refused; etcd's own library allows 16 MiB, which no client needs.
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// Streams that clients cancel before they are served; a storm of cancellations must not end the connection, while an
/// endless one must not cost memory without bound.
const PENDING_RESETS_MAX: usize = 100_000;

/// Streams that this server resets for the clients' errors.
const ERROR_RESETS_MAX: usize = 100_000;

/// More than any cluster has clients, and no more than a process may have files open.
const CONNECTIONS_MAX: usize = 65_536;

/// What a system's queue of new connections holds at most, by default (Linux' `somaxconn`).
const QUEUE_MAX: usize = 4_096;

/// Long enough for a client on a bad line, short enough that silent connections do not add up.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(30);

/// What one that connects at the moment of the shutdown has for its first bytes.
const LAST_FIRST_BYTES_TIMEOUT: Duration = Duration::from_millis(200);

/// Between attempts to accept when the process is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Between looks at a connection that has sent only part of what tells HTTP/1 and HTTP/2 apart.
const FIRST_BYTES_RETRY: Duration = Duration::from_millis(20);

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections at a time; more wait in the system's queue.
    pub connections_max: usize,
    /// Streams of one connection at a time.
    pub streams_max: u32,
    /// For the first bytes of a connection, and for the headers of each HTTP/1 request.
    pub first_bytes_timeout: Duration,
    /// Between pings of the server on an idle HTTP/2 connection; `None` for no pings.
    pub keepalive_interval: Option<Duration>,
    /// For the answer to such a ping.
    pub keepalive_timeout: Duration,
    /// For requests and streams to end once the server stops.
    pub drain_timeout: Duration,
    /// When a connection is asked to end and its client to open another, give or take a tenth; `None` for never.
    pub connection_age: Option<Duration>,
    /// What such a connection's streams get to end; `None` for as long as they like.
    pub connection_age_grace: Option<Duration>,
}

impl From<&Config> for Options {
    fn from(config: &Config) -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            streams_max: config.max_concurrent_streams,
            first_bytes_timeout: FIRST_BYTES_TIMEOUT,
            keepalive_interval: config.keepalive_interval,
            keepalive_timeout: config.keepalive_timeout,
            drain_timeout: config.drain_timeout,
            connection_age: config.connection_age,
            connection_age_grace: config.connection_age_grace,
        }
    }
}

/// Serves the connections of bound listeners until `shutdown` is over, then drains them.
pub async fn serve<S, B>(listeners: Vec<TcpListener>, service: S, options: Options, shutdown: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (drain, draining) = watch::channel(false);
    let server = Server { permits: Arc::new(Semaphore::new(options.connections_max)), service, options };
    let mut connections = JoinSet::new();
    let mut acceptors = JoinSet::new();
    let (accepted, mut incoming) = tokio::sync::mpsc::channel(1);
    for listener in listeners {
        acceptors.spawn(accept(listener, server.permits.clone(), accepted.clone(), draining.clone()));
    }
    drop(accepted);

    let mut number: u32 = 0;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown, if !*draining.borrow() => {
                drain.send_replace(true);
            }
            next = incoming.recv() => {
                let Some((stream, permit)) = next else { break };
                number = number.wrapping_add(1);
                let age = options.connection_age.map(|age| spread(age, number));
                connections.spawn(server.clone().connection(stream, permit, age, draining.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.drain_timeout, drained).await.is_err() {
        tracing::info!(connections = connections.len(), "closing connections that did not end in time");
    }
    connections.shutdown().await;
}

/// An age within a tenth of the one asked for, another for each connection, so that those of one moment do not all move
/// at once. Multiples of the golden ratio spread evenly however many there are.
fn spread(age: Duration, number: u32) -> Duration {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    age.mul_f64(0.9 + 0.2 * (f64::from(number) * GOLDEN_RATIO).fract())
}

type Permit = tokio::sync::OwnedSemaphorePermit;

/// Accepts while there are permits, and in the end those that wait in the system's queue. One listener's trouble does
/// not concern the others.
async fn accept(
    listener: TcpListener,
    permits: Arc<Semaphore>,
    accepted: tokio::sync::mpsc::Sender<(TcpStream, Permit)>,
    mut draining: watch::Receiver<bool>,
) {
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await.ok()?;
            Some((next(&listener).await, permit))
        };
        let next = tokio::select! {
            next = next => next,
            _ = draining.wait_for(|draining| *draining) => None,
        };
        let Some(next) = next else { break };
        if accepted.send(next).await.is_err() {
            return;
        }
    }
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..QUEUE_MAX {
        let Ok(permit) = permits.clone().try_acquire_owned() else { return };
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if is_one_connections(&error) => continue,
            Err(_) => return,
        };
        let prepared = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        let Ok(stream) = prepared else { return };
        if accepted.send((stream, permit)).await.is_err() {
            return;
        }
    }
}

async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_one_connections(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Whether an error of accept concerns only the connection that was to be accepted.
fn is_one_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

fn http1(options: &Options) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(options.first_bytes_timeout);
    builder
}

fn http2(options: &Options, requests: Eager) -> http2::Builder<Eager> {
    let mut builder = http2::Builder::new(requests);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_max)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout);
    builder
}

#[derive(Clone)]
struct Server<S> {
    permits: Arc<Semaphore>,
    service: S,
    options: Options,
}

impl<S, B> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    async fn connection(
        self,
        stream: TcpStream,
        permit: Permit,
        age: Option<Duration>,
        mut draining: watch::Receiver<bool>,
    ) {
        let _permit = permit;
        let begun = tokio::time::timeout(self.options.first_bytes_timeout, first_bytes(&stream));
        let begun = tokio::select! {
            begun = begun => begun,
            () = too_late(&mut draining) => return,
        };
        // Answers are small and wanted at once.
        let Ok(Ok(version)) = begun else { return };
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let (service, options) = (TowerToHyperService::new(self.service), self.options);
        let ending = Ending { age, grace: options.connection_age_grace, draining };
        match version {
            Version::Http1 => {
                let connection = http1(&options).serve_connection(TokioIo::new(stream), service).with_upgrades();
                ending.of(connection, http1::UpgradeableConnection::graceful_shutdown).await;
            }
            Version::Http2 => {
                let requests = Eager::default();
                let protocol = http2(&options, requests.clone());
                let serve = |stream| protocol.serve_connection(TokioIo::new(stream), service);
                let connection = Coalesced::new(stream, requests, serve);
                ending.of(connection, |connection| connection.connection().graceful_shutdown()).await;
            }
        }
    }
}

/// When a connection ends, other than by itself.
struct Ending {
    age: Option<Duration>,
    grace: Option<Duration>,
    draining: watch::Receiver<bool>,
}

impl Ending {
    /// Runs a connection until it has ended, or was shut down and did not end in time.
    async fn of<C: Future<Output = hyper::Result<()>>>(mut self, connection: C, shut_down: impl FnOnce(Pin<&mut C>)) {
        let mut connection = pin!(connection);
        // A draining server sets a time for all connections together.
        let grace = tokio::select! {
            // It must have begun before it can end in order.
            biased;
            ended = connection.as_mut() => return note(ended),
            _ = self.draining.wait_for(|draining| *draining) => None,
            () = elapse(self.age) => self.grace,
        };
        shut_down(connection.as_mut());
        tokio::select! {
            ended = connection => note(ended),
            () = elapse(grace) => {}
        }
    }
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}

/// Waits until nobody is served any more who has said nothing yet.
async fn too_late(draining: &mut watch::Receiver<bool>) {
    // Without a sender the server is gone.
    let _ = draining.wait_for(|draining| *draining).await;
    tokio::time::sleep(LAST_FIRST_BYTES_TIMEOUT).await;
}

/// Waits for a time; for ever if there is none.
async fn elapse(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until the first bytes tell HTTP/1 and HTTP/2 apart, without taking them.
async fn first_bytes(stream: &TcpStream) -> io::Result<Version> {
    let mut bytes = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut bytes).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length if bytes[..length] != PREFACE[..length] => return Ok(Version::Http1),
            length if length == PREFACE.len() => return Ok(Version::Http2),
            _ => tokio::time::sleep(FIRST_BYTES_RETRY).await,
        }
    }
}
