//! Clients of a member, or gateway, that cannot reach most others: refused in the contract's words, served nothing
//! stale, and served again once it can.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::etcdserverpb::{PutRequest, RangeRequest};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::client::Client;
use crate::history::load::{self, Record};
use crate::history::read;

/// Clients that go on all the time.
const CLIENTS: usize = 4;
/// For somebody who can reach the others again.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// Clients that take refusals, but nothing stale: the record notes what must not be. They end with the record.
#[must_use]
pub fn clients(address: SocketAddr, record: &Arc<Record>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let record = Arc::clone(record);
        clients.spawn(async move {
            let connected = Client::connect(address).await;
            let client = connected.expect("who is cut off from the others still takes connections");
            while !record.is_stopped() {
                let _ = load::put(&client, &record).await;
                let _ = read::current(&client, &record).await;
            }
        });
    }
    clients
}

/// Asks for a write and a linearizable read, which no majority can be asked about.
///
/// # Panics
/// When either is answered, or refused in other words.
pub async fn refuses(client: &Client) {
    let (write, read) = tokio::join!(put(client), get(client, false));
    for refused in [write, read] {
        let status = refused.expect_err("nobody has asked a majority");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().starts_with("etcdserver: request timed out"), "{status:?}");
    }
}

/// Waits until writes and current reads are served.
///
/// # Panics
/// When they are not in time.
pub async fn heals(client: &Client, record: &Record) {
    let healed = async { while load::put(client, record).await.is_err() {} };
    tokio::time::timeout(HEALED_WITHIN, healed).await.expect("whoever reaches the others serves again");
    read::current(client, record).await.expect("what is written is read");
}

/// Of a key that is no part of the history that is judged.
async fn put(client: &Client) -> Result<(), Status> {
    let nothing = PutRequest { key: "refused".into(), lease: i64::MAX, ..PutRequest::default() };
    client.kv.clone().put(nothing).await.map(drop)
}

/// A read of what is there; a serializable one needs nobody else.
///
/// # Errors
/// The server's.
pub async fn get(client: &Client, serializable: bool) -> Result<(), Status> {
    let range = RangeRequest { key: "one".into(), serializable, ..RangeRequest::default() };
    client.kv.clone().range(range).await.map(drop)
}
