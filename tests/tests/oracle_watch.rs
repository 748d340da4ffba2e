//! Watches that the generator does not reach: fragments, progress notifications, expiring leases, half-closed streams.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use internal_proto::{Event, EventKind};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchRequest,
    WatchResponse,
};
use tests::binary::Program;
use tests::client::Client;
use tests::deployment::{Deployment, Form};
use tests::requirement;
use tokio_stream::StreamExt as _;
use tonic::Streaming;

/// What a server may take for anything here; a lease of two seconds expires in between.
const DEADLINE: Duration = Duration::from_secs(20);

async fn start(form: Form, flags: &[&str]) -> (Deployment, Client) {
    let server = Deployment::start(form, flags).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    (server, client)
}

/// The product, and etcd where there is one: both have to pass the same test.
fn forms() -> Vec<Form> {
    let etcd = requirement::etcd().map(|_| Form::Alone(Program::Etcd));
    [Form::of_this_run()].into_iter().chain(etcd).collect()
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
async fn a_revision_over_the_limit_comes_in_fragments_when_asked_for() {
    const KEYS: usize = 3;
    /// With the previous values, one revision is larger than a fragment; the request that makes it is allowed.
    const VALUE_BYTES: usize = 450_000;
    /// etcd's: what a client may send, 1.5 MiB, and 512 KiB.
    const FRAGMENT_BYTES: usize = 2 << 20;
    for form in forms() {
        let (_server, client) = start(form, &[]).await;
        let put = |number| {
            let key = format!("key {number}").into();
            let put = PutRequest { key, value: vec![b'x'; VALUE_BYTES].into(), ..PutRequest::default() };
            RequestOp { request: Some(Request::RequestPut(put)) }
        };
        let success: Vec<RequestOp> = (0..KEYS).map(put).collect();
        for _ in 0..2 {
            client.kv.clone().txn(TxnRequest { success: success.clone(), ..TxnRequest::default() }).await.unwrap();
        }
        for fragment in [true, false] {
            let create = WatchCreateRequest { start_revision: 3, prev_kv: true, fragment, ..everything() };
            let mut responses = watch(&client, create).await;
            let mut events = Vec::<Event>::new();
            loop {
                let response = next(&mut responses).await;
                let size = prost::Message::encoded_len(&response);
                assert_eq!(size <= FRAGMENT_BYTES, fragment, "{form:?}: {size}");
                events.extend(response.events);
                assert_eq!(response.fragment, events.len() < KEYS, "{form:?}: all but the last are marked");
                if !response.fragment {
                    break;
                }
            }
            let keys: Vec<&[u8]> = events.iter().map(|event| event.kv.key()).collect();
            assert_eq!(keys, [b"key 0", b"key 1", b"key 2"], "{form:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_notified_to_idle_watches_that_ask_for_it() {
    for form in forms() {
        let (_server, client) = start(form, &["--watch-progress-notify-interval=100ms"]).await;
        let mut silent = watch(&client, WatchCreateRequest { key: "none".into(), ..everything() }).await;
        let asked = WatchCreateRequest { key: "none".into(), progress_notify: true, ..WatchCreateRequest::default() };
        let mut responses = watch(&client, asked).await;
        let revision = put(&client, "other".to_owned(), Vec::new(), 0).await;
        // Notifications before the put may still be under way.
        while next(&mut responses).await.header.unwrap().revision < revision {}
        let response = next(&mut responses).await;
        assert!(response.events.is_empty() && !response.created && response.watch_id == 0, "{form:?}: {response:?}");
        assert_eq!(response.header.unwrap().revision, revision);
        // The other watch has the event of "other" as its first response: no notification came before.
        assert_eq!(next(&mut silent).await.events.len(), 1, "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_lease_deletes_its_keys_in_order_at_one_revision() {
    for form in forms() {
        let (_server, client) = start(form, &[]).await;
        let grant = LeaseGrantRequest { ttl: -1, id: 5 };
        let granted = client.lease.clone().lease_grant(grant).await.unwrap().into_inner();
        assert_eq!(granted.ttl, 2, "{form:?}: the least with etcd's election timeout");
        for key in ["c", "a", "b"] {
            put(&client, key.to_owned(), Vec::new(), 5).await;
        }
        let mut responses = watch(&client, everything()).await;
        let response = next(&mut responses).await;
        let deleted: Vec<(EventKind, &[u8], i64)> =
            response.events.iter().map(|event| (event.kind, event.kv.key(), event.kv.mod_revision().0)).collect();
        let expected = [b"a", b"b", b"c"].map(|key| (EventKind::Delete, key.as_slice(), 5));
        assert_eq!(deleted, expected, "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keepalive_holds_a_lease_and_the_dead_are_told() {
    for form in forms() {
        let (_server, client) = start(form, &[]).await;
        client.lease.clone().lease_grant(LeaseGrantRequest { ttl: 2, id: 5 }).await.unwrap();
        put(&client, "held".to_owned(), Vec::new(), 5).await;
        let requests = tokio_stream::iter([5, 6, 5]).map(|id| LeaseKeepAliveRequest { id });
        let mut answers = client.lease.clone().lease_keep_alive(requests).await.unwrap().into_inner();
        let mut told = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            told.push((answer.id, answer.ttl));
        }
        assert_eq!(told, [(5, 2), (6, 0), (5, 2)], "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_after_its_request_stream_has_ended() {
    for form in forms() {
        let (_server, client) = start(form, &[]).await;
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(everything())) };
        let requests = tokio_stream::once(create);
        let mut responses = client.watch.clone().watch(requests).await.unwrap().into_inner();
        assert!(next(&mut responses).await.created);
        let revision = put(&client, "a".to_owned(), Vec::new(), 0).await;
        assert_eq!(next(&mut responses).await.events[0].kv.mod_revision().0, revision, "{form:?}");
    }
}
