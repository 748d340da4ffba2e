//! What operators see: metrics for everything that is promised, logs that can be followed and give nothing away.
#![allow(clippy::unwrap_used)]

use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{LeaseGrantRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest};
use serde_json::Value;
use tests::binary::{Program, etcd_stands_in};
use tests::client::Client;
use tests::http::{self, metric};
use tests::process::Server;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_requests_errors_syncs_revisions_watches_and_leases() {
    if etcd_stands_in() {
        return;
    }
    let server = Server::start(Program::MetaStore, &[]).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    client.lease.clone().lease_grant(LeaseGrantRequest { ttl: 100, id: 7 }).await.unwrap();
    let put = PutRequest { key: "a".into(), value: "b".into(), ..PutRequest::default() };
    client.kv.clone().put(put).await.unwrap();
    client.kv.clone().range(RangeRequest::default()).await.unwrap_err();
    let create = WatchCreateRequest { key: "a".into(), ..WatchCreateRequest::default() };
    let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = futures_util::StreamExt::chain(tokio_stream::once(create), tokio_stream::pending());
    let mut watch = client.watch.clone().watch(requests).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().created);

    let page = http::get(server.client(), "/metrics").await.unwrap().text();
    let exact = [
        ("etcd_debugging_mvcc_current_revision", 2.0),
        ("etcd_debugging_mvcc_watch_stream_total", 1.0),
        ("etcd_debugging_mvcc_watcher_total", 1.0),
        ("etcd_debugging_mvcc_slow_watcher_total", 0.0),
        ("metastore_leases", 1.0),
        ("etcd_server_has_leader", 1.0),
        ("etcd_server_is_leader", 1.0),
        ("etcd_server_proposals_pending", 0.0),
    ];
    for (name, value) in exact {
        assert_eq!(metric(&page, name), Some(value), "{name} in\n{page}");
    }
    let counted = [
        "metastore_requests_total",
        "metastore_request_duration_seconds_count",
        "grpc_server_handled_total",
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_server_proposals_applied_total",
        "etcd_mvcc_db_total_size_in_bytes",
    ];
    for name in counted {
        assert!(metric(&page, name).is_some_and(|value| value > 0.0), "{name} in\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_name_requests_and_hold_no_keys_values_or_tokens() {
    /// In every key, value and token here.
    const MARK: &str = "not-for-the-log";
    if etcd_stands_in() {
        return;
    }
    let flags = ["--log-level=debug", "--initial-cluster-token=not-for-the-log"];
    let server = Server::start(Program::MetaStore, &flags).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    let put = PutRequest { key: MARK.into(), value: MARK.into(), ..PutRequest::default() };
    client.kv.clone().put(put.clone()).await.unwrap();
    client.kv.clone().put(PutRequest { lease: 5, ..put.clone() }).await.unwrap_err();
    client.kv.clone().put(PutRequest { ignore_value: true, ..put }).await.unwrap_err();
    let range = RangeRequest { key: MARK.into(), revision: 99, ..RangeRequest::default() };
    client.kv.clone().range(range).await.unwrap_err();
    for body in [format!("{{\"key\":\"{MARK}\"}}"), MARK.to_owned()] {
        let mut connection = http::Connection::open(server.client()).await.unwrap();
        connection.call("POST", &format!("/v3/kv/range?{MARK}"), body).await.unwrap();
    }
    server.says("\"method\":\"Range\"").await.unwrap();
    let log = server.log();
    let requests: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line: &Value| line["msg"] == "request")
        .collect();
    assert!(requests.len() >= 4 && requests.iter().all(|line| line["request_id"].is_u64()), "{requests:?}");
    assert!(!log.contains(MARK), "{log}");
}
