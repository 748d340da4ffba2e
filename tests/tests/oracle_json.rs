//! The JSON API answers as a real etcd's: status, headers, every field.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use tests::binary::{Program, amount};
use tests::deployment::{Deployment, Form};
use tests::http::Connection;
use tests::oracle::json::generator::Calls;
use tests::oracle::json::{Call, comparable_line, difference};
use tests::oracle::settled::settled;
use tests::oracle::symbol::Position;
use tests::process::Server;
use tests::requirement;

struct Both {
    // The processes live as long as their connections.
    etcd: Server,
    product: Deployment,
    left: Connection,
    right: Connection,
    differences: Vec<String>,
}

impl Drop for Both {
    /// All differences of a test at once, unless it has failed already.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let shown = self.differences.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
            assert!(self.differences.is_empty(), "{} differences:\n{shown}", self.differences.len());
        }
    }
}

impl Both {
    /// `None` without an etcd to compare with.
    async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(flags: &[&str]) -> Option<Self> {
        requirement::etcd()?;
        let etcd = Server::start(Program::Etcd, &[&["--unsafe-no-fsync"], flags].concat()).await.unwrap();
        let product = Deployment::start(Form::of_this_run(), flags).await.unwrap();
        let left = Connection::open(etcd.client()).await.unwrap();
        let right = Connection::open(product.client()).await.unwrap();
        Some(Self { etcd, product, left, right, differences: Vec::new() })
    }

    /// Sends the call to both and gives etcd's reply.
    async fn compare(&mut self, call: &Call) -> Value {
        let (left, right) = tokio::join!(call.send(&mut self.left), call.send(&mut self.right));
        let (left, right) = (left.unwrap(), right.unwrap());
        self.differences.extend(difference(call, &left, &right));
        serde_json::from_slice(&left.body).unwrap_or_default()
    }

    /// Compares the first lines of an answer that may not end.
    async fn compare_lines(&mut self, path: &str, body: &'static str, count: usize) {
        let mut left = Connection::open(self.etcd.client()).await.unwrap();
        let mut right = Connection::open(self.product.client()).await.unwrap();
        let (left, right) = tokio::join!(left.first_lines(path, body, count), right.first_lines(path, body, count));
        let [left, right] =
            [left, right].map(|lines| lines.unwrap().iter().map(|line| comparable_line(line)).collect::<Vec<_>>());
        assert_eq!(left, right, "{path} {body}");
        assert_eq!(left.len(), count, "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_calls_have_etcds_replies() {
    for seed in (1..).take(amount(1, 10)) {
        let Some(mut both) = Both::start().await else { return };
        let mut calls = Calls::new(seed);
        let mut position = Position::default();
        for _ in 0..amount(1_000, 2_000) {
            let call = calls.next(position);
            let answer = both.compare(&call).await;
            if let Some(revision) = answer["header"]["revision"].as_str() {
                position.current = revision.parse().unwrap();
            }
            if call.path.ends_with("compaction") && answer["header"].is_object() {
                position.compacted = compacted(&call.body).unwrap_or(position.compacted);
            }
        }
    }
}

fn compacted(body: &[u8]) -> Option<i64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let revision = &body["revision"];
    revision.as_i64().or_else(|| revision.as_str()?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_methods_and_malformed_bodies() {
    let Some(mut both) = Both::start().await else { return };
    let bodies = [
        "",
        " ",
        "{}",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{",
        "{\"key\":",
        "{\"key\":\"Zm9v\"",
        "{\"key\":5}",
        "{\"key\":\"!!\"}",
        "{\"key\":\"Zm9\"}",
        "{\"key\":\"Zm9v\",\"key\":\"YmFy\"}",
        "{\"key\":\"Zm9v\",\"foo\":1}",
        "{\"key\":\"Zm9v\"}}",
        "{\"key\":\"Zm9v\"} {\"key\":1}",
        "{\"key\":\"Zm9v\",\"lease\":\"x\"}",
        "{\"key\":\"Zm9v\",\"lease\":1.5}",
        "{\"key\":\"Zm9v\",\"prev_kv\":\"yes\"}",
        "{\"key\":\"_-8=\"}",
        "{\"key\":\"_-8\"}",
        "{\"key\":\"/+8=\"}",
        "{\"key\":\"Zm9v\",\"prevKv\":true}",
        "{\"key\":\"Zm9v\",\"prev_kv\":null}",
        "\u{feff}{}",
        "{'key':'Zm9v'}",
        "{\"key\":null,\"key\":\"Zm9v\"}",
        "{\"key\":\"Zm9v\",\"range_end\":\"\",\"rangeEnd\":\"\"}",
        "{\"key\":\"Zm9v\",\"limit\":\"1 foo\"}",
        "{\"key\":\"Zm9v\",\"limit\":\"+1\"}",
        "{\"key\":\"Zm9v\",\"limit\":9.223372036854775807e18}",
        "{\"key\":\"Zm9v\",\"sort_target\":\"unknown\"}",
        "{\"key\":\"Zm\\n9v\"}",
    ];
    // Reads only: after a write that one of them refuses, every later answer would differ.
    for body in bodies {
        both.compare(&Call::post("/v3/kv/range", body)).await;
    }
    for path in ["/v3/kv/put", "/v3/kv/range", "/v3/kv/deleterange"] {
        both.compare(&Call::post(path, "{\"key\":\"_-8\",\"prevKv\":true,\"unknown\":[]}")).await;
    }
    both.compare(&Call::post("/v3/kv/put", b"{\"key\":\"\xff\"}".as_slice())).await;
    for path in
        ["/v3/kv/range", "/v3beta/kv/range", "/v3/kv/range/", "/v3", "/v3/", "/v3/nothing", "/v3//kv", "/nothing", "/"]
    {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            both.compare(&Call { method, path: path.to_owned(), body: "{\"key\":\"Zm9v\"}".into() }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_json_api_its_routes_are_unknown() {
    let Some(mut both) = Both::start_with(&["--enable-grpc-gateway=false"]).await else { return };
    for path in ["/v3/kv/range", "/v3beta/kv/range", "/v3", "/v3/", "/v3//kv", "/health"] {
        for method in ["GET", "POST", "OPTIONS"] {
            both.compare(&Call { method, path: path.to_owned(), body: "{\"key\":\"Zm9v\"}".into() }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_probes() {
    let Some(mut both) = Both::start().await else { return };
    settled(both.etcd.client()).await.unwrap();
    let probes = ["/livez", "/readyz", "/livez?verbose", "/livez/serializable_read", "/readyz/linearizable_read"];
    let pages = ["/health", "/health?serializable=true", "/version", "/readyz/nothing", "/readyz/"];
    for path in probes.into_iter().chain(pages) {
        for method in ["GET", "POST", "PUT"] {
            both.compare(&Call { method, path: path.to_owned(), body: "".into() }).await;
        }
    }
    let status = both.compare(&Call::post("/v3/maintenance/status", "{}")).await;
    assert_eq!(status["version"], "3.7.3");
    // Other forms have more members than the one etcd.
    if matches!(Form::of_this_run(), Form::Alone(_)) {
        let members = both.compare(&Call::post("/v3/cluster/member/list", "{}")).await;
        assert_eq!(members["members"][0]["name"], "one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_lines_and_go_on_after_the_request_has_ended() {
    let Some(mut both) = Both::start().await else { return };
    for value in ["MQ==", "Mg=="] {
        both.compare(&Call::post("/v3/kv/put", format!("{{\"key\":\"Zm9v\",\"value\":\"{value}\"}}"))).await;
    }
    both.compare(&Call::post("/v3/lease/grant", "{\"TTL\":1000,\"ID\":7}")).await;
    both.compare_lines("/v3/watch", "{\"create_request\":{\"key\":\"Zm9v\",\"start_revision\":\"1\"}}", 2).await;
    both.compare_lines("/v3/watch", "{\"create_request\":{\"key\":\"Zm9v\",\"start_revision\":-1}}\n", 1).await;
    both.compare_lines(
        "/v3/watch",
        "{\"create_request\":{\"key\":\"Zm9v\"}}\n{\"create_request\":{\"key\":\"Zm9v\",\"watch_id\":9}}",
        2,
    )
    .await;
    both.compare_lines("/v3/lease/keepalive", "{\"ID\":7}{\"ID\":\"8\"}\n{\"ID\":7}", 3).await;
}
