//! How the port treats connections that are slow, broken, many, or open when the server stops.

use std::pin::pin;
use std::time::{Duration, Instant};

use crate::server::{self, Server};
use futures_util::stream;
use gateway::config::Config;
use gateway::protocols::listener::Options;
use proto::etcdserverpb as wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::kv_client::KvClient;
use wire::lease_client::LeaseClient;

const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> Options {
    Options { first_bytes_timeout: Duration::from_millis(100), ..Options::from(&Config::default()) }
}

/// Whether the server ends the connection after it was sent these bytes, and what it says before.
async fn is_closed(server: &Server, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    matches!(timeout(PATIENCE, stream.read_to_end(&mut answer)).await, Ok(Ok(_) | Err(_)))
}

#[tokio::test]
async fn silence_and_half_a_beginning_end_the_connection() {
    let server = Server::start_with(options()).await;
    for beginning in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET /health HTTP/1.1\r\nHost:"] {
        assert!(is_closed(&server, beginning).await, "after {beginning:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_ends_its_connection_alone() {
    let server = Server::start().await;
    let mut kv = KvClient::new(server.channel().await);
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let broken_frame = [&settings[..], b"\0\0\x08\x06\0\0\0\0\x07\0\0\0\0\0\0\0\0"].concat();
    for garbage in [&b"\x16\x03\x01\x02\x00\x01"[..], b"hello, world\r\n\r\n", &broken_frame] {
        assert!(is_closed(&server, garbage).await, "after {garbage:?}");
    }
    kv.range(wire::RangeRequest { key: "a".into(), ..wire::RangeRequest::default() }).await.unwrap();
}

#[tokio::test]
async fn a_full_server_serves_the_next_client_when_one_leaves() {
    let server = Server::start_with(Options { connections_max: 1, ..Options::from(&Config::default()) }).await;
    let address = server.address.to_string();
    let first = server.channel().await;
    let mut kv = KvClient::new(first);
    kv.range(wire::RangeRequest { key: "a".into(), ..wire::RangeRequest::default() }).await.unwrap();
    let second = tokio::spawn(async move { server::exchange(&address, "GET", "/version", String::new()).await });
    let key = wire::RangeRequest { key: "a".into(), ..wire::RangeRequest::default() };
    kv.range(key).await.unwrap();
    assert!(!second.is_finished());
    drop(kv);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().unwrap().0, 200);
}

#[tokio::test]
async fn a_stopping_server_ends_streams_that_do_not_end_themselves() {
    let drain_timeout = Duration::from_millis(100);
    let server = Server::start_with(Options { drain_timeout, ..Options::from(&Config::default()) }).await;
    let mut lease = LeaseClient::new(server.channel().await);
    let endless = stream::unfold((), |()| async {
        std::future::pending::<()>().await;
        None::<(wire::LeaseKeepAliveRequest, ())>
    });
    let mut answers = lease.lease_keep_alive(endless).await.unwrap().into_inner();
    server.shutdown.send(()).unwrap();
    timeout(PATIENCE, server.ended).await.unwrap().unwrap();
    assert!(timeout(PATIENCE, answers.message()).await.unwrap().is_err());
    TcpStream::connect(server.address).await.unwrap_err();
}

/// Nothing of the server runs before the shutdown: the system alone has accepted these connections.
#[tokio::test]
async fn whoever_connects_before_the_shutdown_is_served() {
    let server = Server::start().await;
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let streams: Vec<_> = (0..20).map(connect).collect();
    server.shutdown.send(()).unwrap();
    for stream in streams {
        let mut answer = String::new();
        let read = TcpStream::from_std(stream).unwrap().read_to_string(&mut answer).await;
        assert!(read.is_ok() && answer.starts_with("HTTP/1.1 200"), "{read:?}: {answer}");
    }
    timeout(PATIENCE, server.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_old_connection_is_asked_to_end_and_its_streams_end_after_the_grace() {
    let age = Some(Duration::from_millis(100));
    let options = Options { connection_age: age, connection_age_grace: age, ..Options::from(&Config::default()) };
    let server = Server::start_with(options).await;
    let channel = server.channel().await;
    let endless = stream::pending::<wire::LeaseKeepAliveRequest>();
    let mut answers = LeaseClient::new(channel.clone()).lease_keep_alive(endless).await.unwrap().into_inner();
    let mut kv = KvClient::new(channel);
    let mut ended = pin!(answers.message());
    let deadline = Instant::now() + PATIENCE;
    let mut is_over = false;
    while !is_over {
        assert!(Instant::now() < deadline, "the stream outlived its connection's grace");
        // Through one connection after the other. A request that this client had queued for the old one was not sent.
        if let Err(status) = kv.range(wire::RangeRequest { key: "a".into(), ..wire::RangeRequest::default() }).await {
            assert_eq!(status.message(), "operation was canceled");
        }
        is_over = timeout(Duration::from_millis(1), ended.as_mut()).await.is_ok_and(|end| end.is_err());
    }
}

#[tokio::test]
async fn a_storm_of_cancellations_leaves_the_connection_alone() {
    let server = Server::start().await;
    let channel = server.channel().await;
    for _ in 0..3_000 {
        let mut lease = LeaseClient::new(channel.clone());
        let endless = stream::pending::<wire::LeaseKeepAliveRequest>();
        let call = tokio::spawn(async move { lease.lease_keep_alive(endless).await.map(drop) });
        tokio::task::yield_now().await;
        call.abort();
    }
    let mut kv = KvClient::new(channel);
    let key = wire::RangeRequest { key: "a".into(), ..wire::RangeRequest::default() };
    timeout(PATIENCE, kv.range(key)).await.unwrap().unwrap();
}
