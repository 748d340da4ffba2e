//! A disk that fills up under a real process: writes are refused in the contract's words, reads and what frees space go
//! on, and once there is space writes resume without a restart.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proto::etcdserverpb::{CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest};
use tests::binary::Program;
use tests::client::Client;
use tests::process::Server;
use tests::surroundings::Surroundings;
use tonic::{Code, Status};

/// Room for the log's two first segments, a checkpoint, and not much else.
const DISK_MEGABYTES: u32 = 320;
const VALUE_BYTES: usize = 1 << 20;
/// Put over and over: what fills the disk is the log.
const KEYS: usize = 8;
/// The same for the engine on disk, which keeps a reserve.
const ENGINE_DISK_MEGABYTES: u32 = 900;
/// More values than the disk has room for.
const MOST_VALUES: usize = 1_000;
/// From free space to the first write: a tick notices, a checkpoint trims the log.
const RESUMES_WITHIN: Duration = Duration::from_secs(30);

async fn put(client: &Client, number: usize) -> Result<i64, Status> {
    let value = vec![b'v'; VALUE_BYTES].into();
    let put = PutRequest { key: format!("key/{}", number % KEYS).into(), value, ..PutRequest::default() };
    Ok(client.kv.clone().put(put).await?.into_inner().header.unwrap().revision)
}

async fn newest(client: &Client) -> i64 {
    let range = RangeRequest { key: "key/".into(), range_end: "key0".into(), ..RangeRequest::default() };
    let kvs = client.kv.clone().range(range).await.unwrap().into_inner().kvs;
    kvs.iter().map(|kv| kv.fields().mod_revision.0).max().unwrap_or_default()
}

/// Puts until one is refused; the newest revision acknowledged before, at least `acknowledged`.
async fn put_until_refused(client: &Client, mut acknowledged: i64) -> i64 {
    for number in 0..MOST_VALUES {
        match put(client, number).await {
            Ok(revision) => acknowledged = revision,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                assert_eq!(status.message(), "etcdserver: mvcc: database space exceeded");
                return acknowledged;
            }
        }
    }
    panic!("{MOST_VALUES} values fitted the disk");
}

async fn put_until_accepted(client: &Client) -> i64 {
    let deadline = Instant::now() + RESUMES_WITHIN;
    loop {
        match put(client, 0).await {
            Ok(revision) => return revision,
            Err(status) => assert!(Instant::now() < deadline, "there is space, and still {status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_filesystem_fills_up_and_is_freed() {
    fill_and_free(Program::MetaStore, DISK_MEGABYTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_filesystem_fills_up_under_the_engine_on_disk_and_is_freed() {
    fill_and_free(Program::MetaStoreOnDisk, ENGINE_DISK_MEGABYTES).await;
}

async fn fill_and_free(program: Program, megabytes: u32) {
    let started = Server::start_on_small_disk(program, megabytes, &[]).await.unwrap();
    let Some(mut server) = started else { return };
    let Surroundings::SmallDisk(disk) = server.surroundings() else { unreachable!("it was started so") };
    let client = Client::connect(server.client()).await.unwrap();
    let lease = LeaseGrantRequest { ttl: 600, id: 7 };
    client.lease.clone().lease_grant(lease).await.unwrap();
    let mut acknowledged = 0;
    for number in 0..KEYS {
        acknowledged = put(&client, number).await.unwrap();
    }

    disk.fill().unwrap();
    let acknowledged = put_until_refused(&client, acknowledged).await;
    assert_eq!(newest(&client).await, acknowledged, "reads go on, and what was refused was not done");
    let delete = DeleteRangeRequest { key: "key/1".into(), ..DeleteRangeRequest::default() };
    let deleted = client.kv.clone().delete_range(delete).await.unwrap().into_inner();
    assert_eq!(deleted.deleted, 1);
    let compact = CompactionRequest { revision: acknowledged, physical: false };
    client.kv.clone().compact(compact).await.unwrap();
    client.lease.clone().lease_revoke(proto::etcdserverpb::LeaseRevokeRequest { id: 7 }).await.unwrap();

    disk.free().unwrap();
    let resumed = put_until_accepted(&client).await;
    assert_eq!(resumed, deleted.header.unwrap().revision + 1);

    server.kill();
    server.restart().await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    assert_eq!(newest(&client).await, resumed);
}
