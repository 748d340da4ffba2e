//! Clients that are broken or hostile: the server answers, survives and stays small, and others notice nothing.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use proto::etcdserverpb::PutRequest;
use tests::binary::amount;
use tests::client::Client;
use tests::deployment::{Deployment, Form};
use tests::raw::{RawConnection, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PUT: &str = "/etcdserverpb.KV/Put";
const OK: i32 = 0;
const UNKNOWN: i32 = 2;
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;
const DEADLINE: Duration = Duration::from_secs(60);

async fn start() -> Deployment {
    Deployment::start(Form::of_this_run(), &[]).await.unwrap()
}

/// A valid put.
fn valid() -> Bytes {
    let message = prost::Message::encode_to_vec(&PutRequest { key: "a".into(), ..PutRequest::default() });
    frame(0, u32::try_from(message.len()).unwrap(), &message)
}

/// Others are served, and the process is the same.
async fn assert_serves(server: &mut Deployment) {
    let mut client = Client::connect(server.client()).await.unwrap();
    let put = client.kv.put(PutRequest { key: "a".into(), ..PutRequest::default() });
    tokio::time::timeout(DEADLINE, put).await.expect("an answer in time").unwrap();
    assert_eq!(server.ended(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_refused_and_the_connection_survives() {
    let mut server = start().await;
    let mut connection = RawConnection::open(server.client()).await.unwrap();
    let garbage = [0xff; 64];
    let cases: [(&str, &str, Bytes, &[i32]); 9] = [
        ("no protobuf", PUT, frame(0, 64, &garbage), &[INTERNAL]),
        ("a field cut off", PUT, frame(0, 3, &[0x0a, 0x7f, 0x61]), &[INTERNAL]),
        ("a frame cut off", PUT, frame(0, 100, &garbage), &[UNKNOWN, INTERNAL]),
        ("a header cut off", PUT, Bytes::from_static(&[0, 0]), &[UNKNOWN, INTERNAL]),
        ("no message", PUT, Bytes::new(), &[UNKNOWN, INTERNAL]),
        ("compressed without saying how", PUT, frame(1, 64, &garbage), &[INTERNAL, UNIMPLEMENTED]),
        ("over the limit by its header alone", PUT, frame(0, u32::MAX, &garbage), &[RESOURCE_EXHAUSTED]),
        ("an unknown method", "/etcdserverpb.KV/Nothing", valid(), &[UNIMPLEMENTED]),
        ("an unknown service", "/nothing.Nothing/Nothing", valid(), &[UNIMPLEMENTED]),
    ];
    for (name, path, body, expected) in cases {
        let status = connection.call(path, HeaderMap::new(), body).await.unwrap();
        assert!(expected.contains(&status.code), "{name}: {status:?}");
        let status = connection.call(PUT, HeaderMap::new(), valid()).await.unwrap();
        assert_eq!(status.code, OK, "after {name}: {status:?}");
    }
    let empty = connection.call(PUT, HeaderMap::new(), frame(0, 0, &[])).await.unwrap();
    assert_eq!(empty.code, INVALID_ARGUMENT, "{empty:?}");
    assert_serves(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_headers_do_not_end_the_server() {
    let mut server = start().await;
    for bytes in [4_000, 40_000, 4_000_000] {
        let mut connection = RawConnection::open(server.client()).await.unwrap();
        let headers = (0..bytes / 1_000).map(|number| {
            let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
            (name, http::HeaderValue::try_from("v".repeat(1_000)).unwrap())
        });
        // Refusing the request or the connection are both right.
        let called = connection.call(PUT, headers.collect(), valid());
        let _ = tokio::time::timeout(DEADLINE, called).await.expect("an end in time");
        assert_serves(&mut server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_protocol_end_their_connection_only() {
    let mut server = start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let inputs: [&[u8]; 6] = [
        b"\x00\x01\x02\x03 garbage \xff\xff\xff\xff\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v3/kv/put HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
        &[preface.as_slice(), &[0xff; 100]].concat(),
        &[preface.as_slice(), &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], &[0; 1_000]].concat(),
    ];
    for input in inputs {
        let mut stream = TcpStream::connect(server.client()).await.unwrap();
        stream.write_all(input).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as any.
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end in time");
        assert_serves(&mut server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_frames_that_are_never_finished_hold_nobody_up() {
    let mut server = start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let halves: [&[u8]; 5] = [b"", b"P", &preface[..12], preface, b"POST /v3/kv/put HTTP/1.1\r\nhost: a\r\ncontent-le"];
    let mut held = Vec::new();
    for half in halves.iter().cycle().take(amount(200, 2_000)) {
        let mut stream = TcpStream::connect(server.client()).await.unwrap();
        stream.write_all(half).await.unwrap();
        held.push(stream);
    }
    assert_serves(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_over_the_limit_are_refused_without_growing() {
    const MESSAGE: usize = 64 << 20;
    let mut server = start().await;
    assert_serves(&mut server).await;
    let before = server.resident().unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    for _ in 0..amount(5, 50) {
        let put = PutRequest { key: "a".into(), value: vec![0; MESSAGE].into(), ..PutRequest::default() };
        assert!(client.kv.clone().put(put).await.is_err());
    }
    let grown = server.resident().unwrap().saturating_sub(before);
    assert!(grown < MESSAGE as u64, "grew by {grown} bytes");
    assert_serves(&mut server).await;
}
