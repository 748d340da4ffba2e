//! Clients that write until the server is killed, and remember what they were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RequestOp, TxnRequest, request_op,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::Status;

use super::{Fate, Write};
use crate::client::Client;

/// Concurrent writers, each with a connection of its own.
const WRITERS: u64 = 8;
/// Few keys, so that versions, deletions and creations follow each other.
const KEYS: u32 = 24;
/// Where nobody listens, a writer asks again so soon.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(50);
/// Longer than any test.
const TTL: i64 = 100_000;

/// What clients were told instead of an answer, and how often.
pub type Errors = Mutex<BTreeMap<String, usize>>;

/// What all writers have done.
#[derive(Default)]
pub struct Record {
    /// Every write that was sent.
    pub writes: Mutex<Vec<Write>>,
    /// Leases that were granted and never asked to be revoked.
    pub leases: Mutex<Vec<i64>>,
    stopped: AtomicBool,
    numbers: AtomicUsize,
    acknowledged: AtomicUsize,
    revision: AtomicI64,
    stale: Mutex<Option<String>>,
    progress: Notify,
}

impl Record {
    /// Waits until this many more writes were acknowledged.
    pub async fn acknowledged(&self, more: usize) {
        let target = self.acknowledged.load(Ordering::Relaxed) + more;
        loop {
            let progress = self.progress.notified();
            if self.acknowledged.load(Ordering::Relaxed) >= target {
                return;
            }
            progress.await;
        }
    }

    /// Lets every writer finish its write and end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether everybody is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The highest revision that was acknowledged to anybody.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// The first read that was too old.
    #[must_use]
    pub fn stale(&self) -> Option<String> {
        self.stale.lock().clone()
    }

    pub(super) fn found(&self, stale: &str) {
        self.stale.lock().get_or_insert_with(|| stale.to_owned());
    }

    fn add(&self, changes: Vec<(String, Option<String>)>, fate: Fate) {
        self.writes.lock().push(Write { changes, fate });
        if let Fate::At(revision) = fate {
            self.revision.fetch_max(revision, Ordering::SeqCst);
        }
        if fate != Fate::Unknown {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            self.progress.notify_waiters();
        }
    }

    fn unique(&self) -> String {
        format!("value {}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }
}

/// Starts the writers; each ends at its first error, or once the record is stopped.
#[must_use]
pub fn start(address: SocketAddr, record: &Arc<Record>, seed: u64) -> JoinSet<Result<(), Status>> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (record, random) = (record.clone(), StdRng::seed_from_u64(seed * WRITERS + writer));
        writers.spawn(async move { write(address, &record, random).await });
    }
    writers
}

/// Starts writers that connect again after an error, which is counted, until the record is stopped.
#[must_use]
pub fn start_persistent(address: SocketAddr, record: &Arc<Record>, errors: &Arc<Errors>) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (record, errors) = (Arc::clone(record), Arc::clone(errors));
        writers.spawn(async move {
            let mut random = StdRng::seed_from_u64(writer);
            while let Err(error) = write(address, &record, StdRng::from_rng(&mut random)).await {
                *errors.lock().entry(format!("{:?}: {}", error.code(), error.message())).or_default() += 1;
                tokio::time::sleep(BETWEEN_CONNECTIONS).await;
            }
        });
    }
    writers
}

/// Writes on one connection until the record is stopped.
async fn write(address: SocketAddr, record: &Arc<Record>, random: StdRng) -> Result<(), Status> {
    let connected = Client::connect(address).await;
    let client = connected.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut writer = Writer { client, random, record: Arc::clone(record) };
    while !writer.record.is_stopped() {
        writer.write().await?;
    }
    Ok(())
}

/// One more write, of a key that no writer has.
///
/// # Errors
/// The server's.
pub async fn put(client: &Client, record: &Record) -> Result<(), Status> {
    put_with(client, record, "one", 0).await
}

/// The same with a lease.
///
/// # Errors
/// The server's.
pub async fn put_with(client: &Client, record: &Record, key: &str, lease: i64) -> Result<(), Status> {
    let value = record.unique();
    let put = PutRequest { key: key.to_owned().into(), value: value.clone().into(), lease, ..PutRequest::default() };
    let answer = client.kv.clone().put(put).await;
    let header = answer.as_ref().ok().and_then(|answer| answer.get_ref().header.as_ref());
    let fate = header.map_or(Fate::Unknown, |header| Fate::At(header.revision));
    record.add(vec![(key.to_owned(), Some(value))], fate);
    answer.map(drop)
}

struct Writer {
    client: Client,
    random: StdRng,
    record: Arc<Record>,
}

impl Writer {
    async fn write(&mut self) -> Result<(), Status> {
        match self.random.random_range(0..100) {
            0..60 => self.put(0).await,
            60..80 => self.txn().await,
            80..95 => self.delete().await,
            _ => self.lease().await,
        }
    }

    fn key(&mut self) -> String {
        format!("key {}", self.random.random_range(0..KEYS))
    }

    async fn put(&mut self, lease: i64) -> Result<(), Status> {
        let key = self.key();
        put_with(&self.client, &self.record, &key, lease).await
    }

    async fn txn(&mut self) -> Result<(), Status> {
        let (first, second) = (format!("key {}", self.random.random_range(0..KEYS / 2)), "pair".to_owned());
        let changes = vec![(first, Some(self.record.unique())), (second, Some(self.record.unique()))];
        let put = |(key, value): &(String, Option<String>)| {
            let value = value.clone().unwrap_or_default();
            let put = PutRequest { key: key.clone().into(), value: value.into(), ..PutRequest::default() };
            RequestOp { request: Some(request_op::Request::RequestPut(put)) }
        };
        let success = changes.iter().map(put).collect();
        let answer = self.client.kv.txn(TxnRequest { success, ..TxnRequest::default() }).await;
        let header = answer.as_ref().ok().and_then(|answer| answer.get_ref().header.as_ref());
        let fate = header.map_or(Fate::Unknown, |header| Fate::At(header.revision));
        self.record.add(changes, fate);
        answer.map(drop)
    }

    async fn delete(&mut self) -> Result<(), Status> {
        let key = self.key();
        let request = DeleteRangeRequest { key: key.clone().into(), ..DeleteRangeRequest::default() };
        let answer = self.client.kv.delete_range(request).await.map(tonic::Response::into_inner);
        let fate = match &answer {
            Ok(deleted) if deleted.deleted == 0 => Fate::Nothing,
            Ok(deleted) => deleted.header.as_ref().map_or(Fate::Unknown, |header| Fate::At(header.revision)),
            Err(_) => Fate::Unknown,
        };
        self.record.add(vec![(key, None)], fate);
        answer.map(drop)
    }

    /// A lease with a key, which is kept, or revoked so that the key goes with it if it still is the lease's.
    async fn lease(&mut self) -> Result<(), Status> {
        let granted = self.client.lease.lease_grant(LeaseGrantRequest { ttl: TTL, id: 0 }).await?.into_inner();
        if self.random.random() {
            self.record.leases.lock().push(granted.id);
            return self.put(granted.id).await;
        }
        self.put(granted.id).await?;
        self.client.lease.lease_revoke(LeaseRevokeRequest { id: granted.id }).await.map(drop)
    }
}
