//! Many of everything at once: watches, keepalives, connections, cancellations, clients that do not read.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::binary::amount;
use tests::client::Client;
use tests::deployment::{Deployment, Form};
use tokio::net::TcpStream;

/// In one burst on one stream; etcd takes as many.
const BURST: usize = 10_000;
const DEADLINE: Duration = Duration::from_secs(120);

async fn start() -> (Deployment, Client) {
    let server = Deployment::start(Form::of_this_run(), &[]).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    (server, client)
}

async fn put(client: &Client, key: &str, value: Vec<u8>) {
    let request = PutRequest { key: key.to_owned().into(), value: value.into(), ..PutRequest::default() };
    tokio::time::timeout(DEADLINE, client.kv.clone().put(request)).await.expect("an answer in time").unwrap();
}

fn create(key: &[u8], range_end: &[u8]) -> WatchRequest {
    let create = WatchCreateRequest {
        key: key.to_vec().into(),
        range_end: range_end.to_vec().into(),
        ..WatchCreateRequest::default()
    };
    WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_watch_creations_is_answered() {
    let (_server, client) = start().await;
    let creations: Vec<WatchRequest> = (0..BURST).map(|_| create(b"watched", b"")).collect();
    let requests = futures_util::StreamExt::chain(tokio_stream::iter(creations), tokio_stream::pending());
    let answered = async {
        let mut responses = client.watch.clone().watch(requests).await.unwrap().into_inner();
        let mut ids = BTreeSet::new();
        while ids.len() < BURST {
            let response = responses.message().await.unwrap().unwrap();
            assert!(response.created && !response.canceled, "{response:?}");
            assert!(ids.insert(response.watch_id), "{response:?}");
        }
        put(&client, "watched", Vec::new()).await;
        while !ids.is_empty() {
            let response = responses.message().await.unwrap().unwrap();
            assert_eq!(response.events.len(), 1);
            assert!(ids.remove(&response.watch_id), "{response:?}");
        }
    };
    tokio::time::timeout(DEADLINE, answered).await.expect("all answers in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_keepalives_is_answered() {
    let (_server, client) = start().await;
    client.lease.clone().lease_grant(LeaseGrantRequest { ttl: 1_000, id: 5 }).await.unwrap();
    let requests = tokio_stream::iter(vec![LeaseKeepAliveRequest { id: 5 }; BURST]);
    let answered = async {
        let mut responses = client.lease.clone().lease_keep_alive(requests).await.unwrap().into_inner();
        let mut count = 0;
        while let Some(response) = responses.message().await.unwrap() {
            assert_eq!((response.id, response.ttl), (5, 1_000));
            count += 1;
        }
        assert_eq!(count, BURST);
    };
    tokio::time::timeout(DEADLINE, answered).await.expect("all answers in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_cost_little() {
    const SPARE_FILES: u64 = 500;
    const BYTES_EACH: u64 = 64 * 1024;
    let count = amount(1_000, 10_000);
    let files = count as u64 + SPARE_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        // The server inherits the limit.
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: limit.maximum }).unwrap();
    }
    let (server, client) = start().await;
    put(&client, "a", Vec::new()).await;
    let before = server.resident().unwrap();
    let mut held = Vec::new();
    for number in 0..count {
        let stream = TcpStream::connect(server.client()).await.unwrap();
        if number % 2 == 0 {
            // A client that has said hello and nothing else.
            let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
            let mut written = 0;
            while written < hello.len() {
                stream.writable().await.unwrap();
                written += stream.try_write(&hello[written..]).unwrap_or(0);
            }
        }
        held.push(stream);
    }
    let newcomer = Client::connect(server.client()).await.unwrap();
    put(&newcomer, "b", Vec::new()).await;
    put(&client, "c", Vec::new()).await;
    let grown = server.resident().unwrap().saturating_sub(before);
    let allowed = BYTES_EACH * held.len() as u64 + (16 << 20);
    assert!(grown < allowed, "{count} connections cost {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_of_cancelled_calls_leave_nothing_behind() {
    let (mut server, client) = start().await;
    put(&client, "a", vec![0; 100_000]).await;
    for _ in 0..amount(2_000, 50_000) {
        let mut kv = client.kv.clone();
        let mut watch = client.watch.clone();
        let range = tokio::spawn(async move {
            // Whether it is answered before it is dropped does not matter.
            let _ = kv.range(RangeRequest { key: "a".into(), ..RangeRequest::default() }).await;
        });
        let watching = tokio::spawn(async move {
            let requests =
                futures_util::StreamExt::chain(tokio_stream::once(create(b"a", b"")), tokio_stream::pending());
            let _ = watch.watch(requests).await;
        });
        tokio::task::yield_now().await;
        range.abort();
        watching.abort();
    }
    put(&client, "a", Vec::new()).await;
    put(&Client::connect(server.client()).await.unwrap(), "a", Vec::new()).await;
    assert_eq!(server.ended(), None);
}

/// Puts a fixed amount of data and gives by how much the server has grown.
async fn growth(unread_watches: usize) -> u64 {
    const VALUE: usize = 10_000;
    let (server, client) = start().await;
    put(&client, "a", Vec::new()).await;
    let mut unread = Vec::new();
    for _ in 0..unread_watches {
        let slow = Client::connect(server.client()).await.unwrap();
        let requests = futures_util::StreamExt::chain(tokio_stream::once(create(&[0], &[0])), tokio_stream::pending());
        let mut responses = slow.watch.clone().watch(requests).await.unwrap().into_inner();
        assert!(responses.message().await.unwrap().unwrap().created);
        unread.push(responses);
    }
    let before = server.resident().unwrap();
    for _ in 0..amount(2_000, 20_000) {
        put(&client, "a", vec![b'x'; VALUE]).await;
    }
    server.resident().unwrap().saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_cost_a_bounded_amount() {
    const CLIENTS: usize = 8;
    /// HTTP/2 windows, socket buffers and the hub's share for one client.
    const BYTES_EACH: u64 = 16 << 20;
    let (without, with) = (growth(0).await, growth(CLIENTS).await);
    let allowed = without + CLIENTS as u64 * BYTES_EACH;
    assert!(with < allowed, "grew by {with} bytes with {CLIENTS} clients that do not read, by {without} without");
}
