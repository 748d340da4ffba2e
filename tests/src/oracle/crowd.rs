//! Many clients at once, each below a prefix of its own: whatever the order in which a server takes their requests,
//! each client's answers are the same, but for revisions.
//!
//! ```text
//!  client 0 ─ sequence below "0/" ─┐                     ┌─ answers of client 0 ─┐
//!  client 1 ─ sequence below "1/" ─┼─► all at once ─►  ──┼─ answers of client 1 ─┼─ equal on both systems?
//!  …                               ┘                     └─ …                    ┘
//! ```
//!
//! Besides: no client's header revision ever falls, and no two successful puts share one.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{DeleteRangeRequest, WatchCreateRequest, WatchRequest};
use tokio::task::JoinSet;
use tonic::Status;

use super::answer::{Answer, Revisions, agree, normalise, normalised};
use super::generator::{Generator, KeySpace};
use super::operation::Operation;
use super::symbol::Chosen;
use super::system::call;
use crate::client::Client;

/// Everything one client was told.
#[derive(Debug)]
pub struct Told {
    /// The answers to its operations, without revisions.
    pub answers: Vec<(Operation, Answer)>,
    /// The events below its prefix, without revisions.
    pub events: Vec<internal_proto::Event>,
    /// The revisions of its successful puts.
    puts: Vec<i64>,
}

/// Runs `clients` sequences of `length` at once.
///
/// # Errors
/// The first broken rule, in words.
pub async fn run(address: SocketAddr, seed: u64, clients: usize, length: usize) -> Result<Vec<Told>, String> {
    let mut running = JoinSet::new();
    for number in 0..clients {
        running.spawn(async move {
            let client = Client::connect(address).await.map_err(|error| error.to_string())?;
            one(&client, seed, number, length).await.map(|told| (number, told))
        });
    }
    let mut told = Vec::new();
    while let Some(ended) = running.join_next().await {
        told.push(ended.map_err(|error| error.to_string())??);
    }
    told.sort_by_key(|(number, _)| *number);
    let told: Vec<Told> = told.into_iter().map(|(_, told)| told).collect();
    let mut revisions = BTreeSet::new();
    let twice = told.iter().flat_map(|told| &told.puts).find(|revision| !revisions.insert(**revision)).copied();
    twice.map_or(Ok(told), |revision| Err(format!("two puts have revision {revision}")))
}

/// The first difference between what the clients of two systems were told.
#[must_use]
pub fn difference(left: &[Told], right: &[Told]) -> Option<String> {
    for (number, (left, right)) in left.iter().zip(right).enumerate() {
        for ((asked, left), (_, right)) in left.answers.iter().zip(&right.answers) {
            if !agree(left, right) {
                return Some(format!("client {number}: {asked:?}\n  left : {left:?}\n  right: {right:?}"));
            }
        }
        if left.events != right.events {
            return Some(format!("client {number}: events\n  left : {:?}\n  right: {:?}", left.events, right.events));
        }
    }
    None
}

async fn one(client: &Client, seed: u64, number: usize, length: usize) -> Result<Told, String> {
    let prefix = format!("{number}/");
    let mut generator = Generator::new(seed.wrapping_add(number as u64), KeySpace::below(&prefix));
    let mut told = Told { answers: Vec::new(), events: Vec::new(), puts: Vec::new() };
    let mut last = 0;
    for _ in 0..length {
        let operation = generator.crowd_operation();
        let mut answer = call(client, operation.clone()).await.unwrap_or_else(Answer::from);
        if let Some(header) = answer.header_mut() {
            if header.revision < last {
                return Err(format!("client {number}: revision {} after {last}: {operation:?}", header.revision));
            }
            last = header.revision;
        }
        if matches!(answer, Answer::Put(_)) {
            told.puts.push(last);
        }
        normalise(&mut answer, &Chosen::default(), Revisions::Interleaved);
        told.answers.push((operation, answer));
    }
    told.events = events(client, &prefix).await.map_err(|status| status.to_string())?;
    Ok(told)
}

/// The history below a prefix, up to a deletion of everything that is the client's last word.
async fn events(client: &Client, prefix: &str) -> Result<Vec<internal_proto::Event>, Status> {
    let last: bytes::Bytes = format!("{prefix}last").into();
    let put = proto::etcdserverpb::PutRequest { key: last.clone(), ..Default::default() };
    client.kv.clone().put(put).await?;
    let delete = DeleteRangeRequest { key: last.clone(), ..DeleteRangeRequest::default() };
    client.kv.clone().delete_range(delete).await?;

    let create = WatchCreateRequest {
        key: prefix.to_owned().into(),
        // The prefix ends in a slash, which is followed by a zero.
        range_end: prefix.replace('/', "0").into(),
        start_revision: 1,
        prev_kv: true,
        ..WatchCreateRequest::default()
    };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = futures_util::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut responses = client.watch.clone().watch(requests).await?.into_inner();
    let mut events: Vec<internal_proto::Event> = Vec::new();
    let ended = |events: &[internal_proto::Event]| {
        events.last().is_some_and(|event| event.kv.key() == last && event.kind == internal_proto::EventKind::Delete)
    };
    while !ended(&events) {
        let Some(response) = responses.message().await? else { break };
        events.extend(response.events);
    }
    let shared = |kv: &internal_proto::KeyValue| normalised(kv, &Chosen::default(), Revisions::Interleaved);
    for event in &mut events {
        event.kv = shared(&event.kv);
        event.prev_kv = event.prev_kv.as_ref().map(shared);
    }
    Ok(events)
}
