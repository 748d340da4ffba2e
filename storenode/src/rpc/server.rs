//! The listener of a storage node: peers and gateways come to one port, and pass one check.
//!
//! ```text
//!  sockets ─► HTTP/2 ─► admission ─► routes ─┬► Peer    (raft's messages)
//!                                            └► Store   (gateways), and whatever else the caller adds
//! ```
//!
//! Invariant: windows, pings and message limits are explicit; a service never sees a caller that was not admitted.

use std::future::Future;
use std::sync::Arc;

use futures_util::stream::select_all;
use tokio::net::TcpListener;
use tonic::service::InterceptorLayer;
pub use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::admission::Admission;
use crate::raft::transport::connection::{CONNECTION_WINDOW, PING_EVERY, PING_TIMEOUT, STREAM_WINDOW};

/// The largest message taken in: more than any command, and a bound on what a broken caller can make a node hold.
pub(crate) const MAX_MESSAGE_BYTES: usize = 512 << 20;
/// Calls of one connection at a time; gateways multiplex thousands of clients into a few streams.
const MAX_STREAMS: u32 = 10_000;

/// Serves `routes` on bound listeners until `shutdown` is over and the calls under way have ended.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve(
    listeners: Vec<TcpListener>,
    admission: Arc<Admission>,
    routes: Routes,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let sockets = listeners.into_iter().map(|listener| TcpIncoming::from(listener).with_nodelay(Some(true)));
    Server::builder()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(InterceptorLayer::new(move |request| admission.check(request)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(select_all(sockets), shutdown)
        .await
}
