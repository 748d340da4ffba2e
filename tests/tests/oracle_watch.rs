//! Watches that the generator does not reach: fragments, progress notifications, expiring leases, half-closed streams.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use internal_proto::{Event, EventKind};
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};
use tests::binary::Program;
use tests::client::Client;
use tests::process::Server;
use tests::requirement;
use tokio_stream::StreamExt as _;
use tonic::Streaming;

/// What a server may take for anything here; a lease of two seconds expires in between.
const DEADLINE: Duration = Duration::from_secs(20);

async fn start(program: Program, flags: &[&str]) -> (Server, Client) {
    let server = Server::start(program, flags).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    (server, client)
}

/// The product, and etcd where there is one: both have to pass the same test.
fn programs() -> Vec<Program> {
    let etcd = requirement::etcd().map(|_| Program::Etcd);
    [Program::MetaStore].into_iter().chain(etcd).collect()
}

fn everything() -> WatchCreateRequest {
    WatchCreateRequest { key: vec![0].into(), range_end: vec![0].into(), ..WatchCreateRequest::default() }
}

async fn watch(client: &Client, create: WatchCreateRequest) -> Streaming<WatchResponse> {
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = futures_util::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut responses = client.watch.clone().watch(requests).await.unwrap().into_inner();
    assert!(next(&mut responses).await.created);
    responses
}

async fn next(responses: &mut Streaming<WatchResponse>) -> WatchResponse {
    let response = tokio::time::timeout(DEADLINE, responses.message()).await;
    response.expect("a response in time").unwrap().unwrap()
}

async fn put(client: &Client, key: String, value: Vec<u8>, lease: i64) -> i64 {
    let request = PutRequest { key: key.into(), value: value.into(), lease, ..PutRequest::default() };
    client.kv.clone().put(request).await.unwrap().into_inner().header.unwrap().revision
}

#[tokio::test(flavor = "multi_thread")]
async fn large_responses_come_in_fragments_when_asked_for() {
    const VALUES: usize = 12;
    const VALUE_BYTES: usize = 400_000;
    /// etcd's: what a client may send, 1.5 MiB, and 512 KiB.
    const FRAGMENT_BYTES: usize = 2 << 20;
    for program in programs() {
        let (_server, client) = start(program, &[]).await;
        for number in 0..VALUES {
            put(&client, format!("key {number}"), vec![b'x'; VALUE_BYTES], 0).await;
        }
        for fragment in [true, false] {
            let mut responses =
                watch(&client, WatchCreateRequest { start_revision: 1, fragment, ..everything() }).await;
            let (mut events, mut fragments) = (Vec::<Event>::new(), 0);
            while events.len() < VALUES {
                let response = next(&mut responses).await;
                let size = prost::Message::encoded_len(&response);
                assert!(!fragment || size <= FRAGMENT_BYTES + VALUE_BYTES, "{program:?}: {size}");
                assert!(!response.fragment || events.len() + response.events.len() < VALUES, "the last is marked");
                fragments += usize::from(response.fragment);
                events.extend(response.events);
            }
            assert_eq!(fragments > 0, fragment, "{program:?}");
            let revisions: Vec<i64> = events.iter().map(|event| event.kv.mod_revision().0).collect();
            assert_eq!(revisions, (2..14).collect::<Vec<_>>(), "{program:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_notified_to_idle_watches_that_ask_for_it() {
    for program in programs() {
        let (_server, client) = start(program, &["--watch-progress-notify-interval=100ms"]).await;
        let mut silent = watch(&client, WatchCreateRequest { key: "none".into(), ..everything() }).await;
        let asked = WatchCreateRequest { key: "none".into(), progress_notify: true, ..WatchCreateRequest::default() };
        let mut responses = watch(&client, asked).await;
        let revision = put(&client, "other".to_owned(), Vec::new(), 0).await;
        // Notifications before the put may still be under way.
        while next(&mut responses).await.header.unwrap().revision < revision {}
        let response = next(&mut responses).await;
        assert!(response.events.is_empty() && !response.created && response.watch_id == 0, "{program:?}: {response:?}");
        assert_eq!(response.header.unwrap().revision, revision);
        // The other watch has the event of "other" as its first response: no notification came before.
        assert_eq!(next(&mut silent).await.events.len(), 1, "{program:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_lease_deletes_its_keys_in_order_at_one_revision() {
    for program in programs() {
        let (_server, client) = start(program, &[]).await;
        let grant = LeaseGrantRequest { ttl: -1, id: 5 };
        let granted = client.lease.clone().lease_grant(grant).await.unwrap().into_inner();
        assert_eq!(granted.ttl, 2, "{program:?}: the least with etcd's election timeout");
        for key in ["c", "a", "b"] {
            put(&client, key.to_owned(), Vec::new(), 5).await;
        }
        let mut responses = watch(&client, everything()).await;
        let response = next(&mut responses).await;
        let deleted: Vec<(EventKind, &[u8], i64)> =
            response.events.iter().map(|event| (event.kind, event.kv.key(), event.kv.mod_revision().0)).collect();
        let expected = [b"a", b"b", b"c"].map(|key| (EventKind::Delete, key.as_slice(), 5));
        assert_eq!(deleted, expected, "{program:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keepalive_holds_a_lease_and_the_dead_are_told() {
    for program in programs() {
        let (_server, client) = start(program, &[]).await;
        client.lease.clone().lease_grant(LeaseGrantRequest { ttl: 2, id: 5 }).await.unwrap();
        put(&client, "held".to_owned(), Vec::new(), 5).await;
        let requests = tokio_stream::iter([5, 6, 5]).map(|id| LeaseKeepAliveRequest { id });
        let mut answers = client.lease.clone().lease_keep_alive(requests).await.unwrap().into_inner();
        let mut told = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            told.push((answer.id, answer.ttl));
        }
        assert_eq!(told, [(5, 2), (6, 0), (5, 2)], "{program:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_after_its_request_stream_has_ended() {
    for program in programs() {
        let (_server, client) = start(program, &[]).await;
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(everything())) };
        let requests = tokio_stream::once(create);
        let mut responses = client.watch.clone().watch(requests).await.unwrap().into_inner();
        assert!(next(&mut responses).await.created);
        let revision = put(&client, "a".to_owned(), Vec::new(), 0).await;
        assert_eq!(next(&mut responses).await.events[0].kv.mod_revision().0, revision, "{program:?}");
    }
}
