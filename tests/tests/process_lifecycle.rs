//! SIGTERM, SIGSTOP and restarts, as operators and their tools use them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proto::etcdserverpb::{PutRequest, RangeRequest};
use tests::binary::Program;
use tests::client::Client;
use tests::process::Server;

/// etcd's own is 1.5 s when idle; the rest is the machine's.
const GRACE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(20);

async fn put(client: &Client, value: &'static str) -> i64 {
    let request = PutRequest { key: "a".into(), value: value.into(), ..PutRequest::default() };
    client.kv.clone().put(request).await.unwrap().into_inner().header.unwrap().revision
}

async fn value(client: &Client) -> (Vec<u8>, i64) {
    let request = RangeRequest { key: "a".into(), ..RangeRequest::default() };
    let answer = client.kv.clone().range(request).await.unwrap().into_inner();
    (answer.kvs[0].fields().value.to_vec(), answer.header.unwrap().revision)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_server_ends_in_time_and_keeps_everything() {
    let mut server = Server::start(Program::MetaStore, &[]).await.unwrap();
    for round in 0..3 {
        let client = Client::connect(server.client()).await.unwrap();
        let revision = put(&client, "before").await;
        assert_eq!(revision, 2 + round);
        server.terminate(GRACE).await.unwrap();
        server.restart().await.unwrap();
        let client = Client::connect(server.client()).await.unwrap();
        assert_eq!(value(&client).await, (b"before".to_vec(), revision));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_answers_when_it_goes_on() {
    let server = Server::start(Program::MetaStore, &[]).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    put(&client, "first").await;
    server.pause();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { put(&client, "second").await }
    });
    let unanswered = tokio::time::timeout(Duration::from_millis(300), value(&client)).await;
    assert!(unanswered.is_err(), "a paused process cannot answer");
    server.resume();
    let revision = tokio::time::timeout(DEADLINE, waiting).await.expect("an answer in time").unwrap();
    assert_eq!(revision, 3);
    assert_eq!(value(&client).await, (b"second".to_vec(), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_does_not_get_the_data_directory() {
    let server = Server::start(Program::MetaStore, &[]).await.unwrap();
    let data = format!("--data-dir={}", server.data().display());
    // A later flag wins, so the second process has ports of its own and the first one's data.
    let second = tokio::time::timeout(DEADLINE, Server::start(Program::MetaStore, &[&data])).await;
    assert!(!matches!(second, Ok(Ok(_))), "two processes serve from one data directory");
    let client = Client::connect(server.client()).await.unwrap();
    assert_eq!(put(&client, "still there").await, 2);
}
