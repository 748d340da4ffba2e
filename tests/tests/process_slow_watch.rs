//! A watcher that does not read while many revisions pass: writers notice nothing, memory stays bounded, and then it
//! gets everything, or is told that it was compacted.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{CompactionRequest, PutRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use tests::binary::amount;
use tests::client::Client;
use tests::deployment::{Deployment, Form};
use tokio::task::JoinSet;
use tonic::Streaming;

const WRITERS: usize = 16;
const VALUE_BYTES: usize = 256;
const LARGE_VALUE_BYTES: usize = 8 << 10;
const DEADLINE: Duration = Duration::from_secs(300);

async fn watch(server: &Deployment) -> Streaming<WatchResponse> {
    let create = WatchCreateRequest { key: "key".into(), ..WatchCreateRequest::default() };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = futures_util::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    // A connection of its own, whose windows fill up.
    let client = Client::connect(server.client()).await.unwrap();
    let mut responses = client.watch.clone().watch(requests).await.unwrap().into_inner();
    assert!(responses.message().await.unwrap().unwrap().created);
    responses
}

/// Puts one key `count` times from many clients; the 99th percentile of the latencies.
async fn put_many(server: &Deployment, count: usize, value_bytes: usize) -> Duration {
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let mut client = Client::connect(server.client()).await.unwrap();
        writers.spawn(async move {
            let mut latencies = Vec::new();
            for _ in 0..count / WRITERS {
                let value = vec![b'v'; value_bytes].into();
                let put = PutRequest { key: "key".into(), value, ..PutRequest::default() };
                let start = Instant::now();
                client.kv.put(put).await.unwrap();
                latencies.push(start.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<Duration> = writers.join_all().await.into_iter().flatten().collect();
    latencies.sort();
    latencies[latencies.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_not_read_slows_nobody_and_catches_up() {
    /// What a machine shared with other tests adds.
    const NOISE: Duration = Duration::from_millis(30);
    /// The ring of the feed, and what goes with it.
    const WATCH_BYTES: u64 = 128 << 20;
    let server = Deployment::start(Form::of_this_run(), &[]).await.unwrap();
    let count = amount(4_000, 500_000) / WRITERS * WRITERS;
    let empty = server.resident().unwrap();
    let alone = put_many(&server, count / 4, VALUE_BYTES).await;
    let quarter = server.resident().unwrap();
    let mut unread = watch(&server).await;
    let watched = put_many(&server, count, VALUE_BYTES).await;
    assert!(watched < alone * 3 / 2 + NOISE, "p99 {alone:?} without the watch, {watched:?} with it");
    // The history itself takes memory, too, with one engine.
    let (grown, history) = (server.resident().unwrap().saturating_sub(quarter), 4 * quarter.saturating_sub(empty));
    assert!(grown < history * 3 / 2 + WATCH_BYTES, "{grown} bytes for a history of {history}");

    let first = i64::try_from(count / 4 / WRITERS * WRITERS + 2).unwrap();
    let mut expected = first;
    let read = async {
        while expected < first + i64::try_from(count).unwrap() {
            for event in unread.message().await.unwrap().unwrap().events {
                assert_eq!(event.kv.mod_revision().0, expected, "an event is lost, repeated or out of order");
                expected += 1;
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("all events in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_compacted_away_gets_a_prefix_and_is_told() {
    let server = Deployment::start(Form::of_this_run(), &[]).await.unwrap();
    let mut unread = watch(&server).await;
    // Twice as much as windows, buffers and the ring of recent events hold.
    let count = amount(16_000, 64_000) / WRITERS * WRITERS;
    put_many(&server, count, LARGE_VALUE_BYTES).await;
    let last = i64::try_from(count).unwrap() + 1;
    let compact = CompactionRequest { revision: last, physical: false };
    Client::connect(server.client()).await.unwrap().kv.compact(compact).await.unwrap();

    let mut expected = 2;
    let read = async {
        loop {
            let response = unread.message().await.unwrap().unwrap();
            for event in &response.events {
                assert_eq!(event.kv.mod_revision().0, expected, "an event is lost, repeated or out of order");
                expected += 1;
            }
            if response.canceled {
                assert_eq!(response.compact_revision, last, "{response:?}");
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("an end in time");
}
