//! The etcd protocol over HTTP/2, where a script cannot say what is sent.

use std::time::Duration;

use crate::server::{self, Server};
use crate::store;
use futures_util::stream;
use prost::Message;
use proto::etcdserverpb as wire;
use tonic::{Code, Request};
use wire::kv_client::KvClient;
use wire::lease_client::LeaseClient;

const PATIENCE: Duration = Duration::from_secs(20);

async fn fill(kv: &mut KvClient<tonic::transport::Channel>, keys: usize, value_bytes: usize) {
    for key in 0..keys {
        let put = wire::PutRequest {
            key: format!("key{key:05}").into(),
            value: vec![b'v'; value_bytes].into(),
            ..wire::PutRequest::default()
        };
        kv.put(put).await.unwrap();
    }
}

fn all_keys() -> wire::RangeRequest {
    wire::RangeRequest { key: "\0".into(), range_end: "\0".into(), ..wire::RangeRequest::default() }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_connection_survives() {
    let server = Server::start().await;
    let mut kv = KvClient::new(server.channel().await);
    for (value_bytes, code, text) in [
        (2_200_000, Code::ResourceExhausted, "grpc: received message larger than max (2200009 vs. 2097152)"),
        (1_700_000, Code::InvalidArgument, "etcdserver: request is too large"),
    ] {
        let value = vec![0; value_bytes].into();
        let put = wire::PutRequest { key: "ab".into(), value, ..wire::PutRequest::default() };
        let refusal = kv.put(put).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.message()), (code, text));
    }
    assert_eq!(kv.range(all_keys()).await.unwrap().into_inner().count, 0);
}

#[tokio::test]
async fn the_limit_holds_for_json_too() {
    let server = Server::start().await;
    let value = "A".repeat(2_200_000 / 3 * 4);
    let json = format!(r#"{{"key":"YWI=","value":"{value}"}}"#);
    let (status, _, body) = server::exchange(&server.address.to_string(), "POST", "/v3/kv/put", json).await;
    let text = "grpc: received message larger than max (2200008 vs. 2097152)";
    assert_eq!((status, body), (429, format!(r#"{{"code":8,"message":"{text}"}}"#)));
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let server = Server::start().await;
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    for (path, text) in [
        ("/etcdserverpb.KV/Nothing", "unknown method Nothing for service etcdserverpb.KV"),
        ("/no.Such/Thing", "unknown service no.Such"),
        ("/etcdserverpb.Maintenance/Snapshot", "etcdserver: snapshots are not available in this version"),
        ("/v3lockpb.Lock/Lock", "etcdserver: locks are not available in this version"),
        ("/etcdserverpb.Auth/AuthEnable", "etcdserver: authentication is not available in this version"),
    ] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<wire::AuthEnableRequest, wire::AuthEnableResponse>::default();
        let request = Request::new(wire::AuthEnableRequest {});
        let refusal = grpc.unary(request, path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.message()), (Code::Unimplemented, text));
    }
}

#[tokio::test]
async fn ten_thousand_keepalives_in_one_burst_are_answered_in_order() {
    let server = Server::start().await;
    let mut lease = LeaseClient::new(server.channel().await);
    let requests = stream::iter((0..10_000).map(|id| wire::LeaseKeepAliveRequest { id }));
    let mut answers = lease.lease_keep_alive(requests).await.unwrap().into_inner();
    for id in 0..10_000 {
        let answer = tokio::time::timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
        let ttl = if id == store::LEASE.0 { 60 } else { 0 };
        assert_eq!((answer.id, answer.ttl), (id, ttl));
    }
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_streamed_range_merges_to_the_range() {
    let server = Server::start().await;
    let mut kv = KvClient::new(server.channel().await);
    fill(&mut kv, 100, 20_000).await;
    for limit in [0, 1, 10, 35, 100] {
        let request = wire::RangeRequest { limit, ..all_keys() };
        let whole = kv.range(request.clone()).await.unwrap().into_inner();
        let mut pages = kv.range_stream(request).await.unwrap().into_inner();
        let mut merged = wire::RangeResponse::default();
        let mut sizes = Vec::new();
        while let Some(page) = pages.message().await.unwrap() {
            let page = page.range_response.unwrap();
            assert!(merged.header.is_none(), "only the last page has a header");
            sizes.push(page.kvs.len());
            merged.merge(&page.encode_to_vec()[..]).unwrap();
        }
        assert_eq!(merged, whole);
        assert_eq!(
            sizes.first(),
            Some(&usize::try_from(limit).unwrap().clamp(1, 10)).filter(|_| limit > 0).or(Some(&10))
        );
    }
    let counted = wire::RangeRequest { count_only: true, ..all_keys() };
    let mut pages = kv.range_stream(counted).await.unwrap().into_inner();
    assert_eq!(pages.message().await.unwrap().unwrap().range_response.unwrap().count, 100);
}

#[tokio::test]
async fn a_streamed_range_knows_no_order_and_no_filter() {
    let server = Server::start().await;
    let mut kv = KvClient::new(server.channel().await);
    let sorted = wire::RangeRequest { sort_order: 2, ..all_keys() };
    let refusal = kv.range_stream(sorted).await.unwrap_err();
    assert_eq!(refusal.message(), "RangeStream does not support custom sort orders");
    let filtered = wire::RangeRequest { min_mod_revision: 1, ..all_keys() };
    let refusal = kv.range_stream(filtered).await.unwrap_err();
    assert_eq!(refusal.message(), "RangeStream does not support revision filters");
}

#[tokio::test]
async fn a_limited_sort_without_an_order_cuts_before_it_sorts() {
    let server = Server::start().await;
    let mut kv = KvClient::new(server.channel().await);
    for key in ["a", "a", "a", "b", "b", "c", "d"] {
        kv.put(wire::PutRequest { key: key.into(), value: key.into(), ..wire::PutRequest::default() }).await.unwrap();
    }
    let by_version = wire::RangeRequest { limit: 2, sort_target: 1, keys_only: true, ..all_keys() };
    let answer = kv.range(by_version.clone()).await.unwrap().into_inner();
    let keys = |answer: &wire::RangeResponse| answer.kvs.iter().map(|kv| kv.key().to_vec()).collect::<Vec<_>>();
    assert_eq!(keys(&answer), [b"c", b"b"]);
    assert_eq!((answer.count, answer.more), (4, true));
    assert!(answer.kvs.iter().all(|kv| kv.fields().value.is_empty()));

    let mut pages = kv.range_stream(by_version.clone()).await.unwrap().into_inner();
    assert_eq!(pages.message().await.unwrap().unwrap().range_response, Some(answer));
    assert!(pages.message().await.unwrap().is_none());

    let operation = wire::RequestOp { request: Some(wire::request_op::Request::RequestRange(by_version)) };
    let txn = wire::TxnRequest { success: vec![operation], ..wire::TxnRequest::default() };
    let answer = kv.txn(txn).await.unwrap().into_inner().responses.remove(0).response.unwrap();
    let wire::response_op::Response::ResponseRange(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(keys(&answer), [b"c", b"b"]);
}

#[tokio::test]
async fn every_rpc_is_counted() {
    let server = Server::start().await;
    let mut kv = KvClient::new(server.channel().await);
    kv.range(all_keys()).await.unwrap();
    kv.range(wire::RangeRequest::default()).await.unwrap_err();
    let mut pages = kv.range_stream(all_keys()).await.unwrap().into_inner();
    while pages.message().await.unwrap().is_some() {}
    let (_, _, text) = server::exchange(&server.address.to_string(), "GET", "/metrics", String::new()).await;
    let handled = |code: &str, method: &str, kind: &str, count: u64| {
        let labels =
            format!(r#"grpc_code="{code}",grpc_method="{method}",grpc_service="etcdserverpb.KV",grpc_type="{kind}""#);
        format!("grpc_server_handled_total{{{labels}}} {count}\n")
    };
    for line in [
        handled("OK", "Range", "unary", 1),
        handled("InvalidArgument", "Range", "unary", 1),
        handled("OK", "RangeStream", "server_stream", 1),
        "metastore_requests_total{code=\"OK\",method=\"Range\"} 2\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
