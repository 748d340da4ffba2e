//! Power that fails under real processes on a real filesystem: what was acknowledged is there when it is back.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::etcdserverpb::{CompactionRequest, PutRequest, RangeRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::binary::{Program, amount, etcd_stands_in};
use tests::client::Client;
use tests::cluster::{Cluster, MIXED};
use tests::preload::Preload;
use tests::process::Server;
use tests::replicas;
use tests::surroundings::Surroundings;
use tests::traffic::{self, Traffic};
use tokio::task::JoinSet;

const SEED: u64 = 11;
/// Room for all that the writers of one test leave.
const DISK_MEGABYTES: u64 = 6 << 10;
/// Each has a key of its own.
const WRITERS: usize = 8;
const VALUE_BYTES: usize = 256 << 10;
/// What one life of a server takes at most: more than lies between two flushes, or checkpoints, and their trimming of
/// the log.
const LIFE_BYTES: usize = 400 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn all_members_lose_power_at_once_and_nothing_else() {
    for programs in [MIXED, [Program::MetaStoreOnDisk; 3]] {
        fail_together(&programs, amount(2, 10)).await;
    }
}

async fn fail_together(programs: &[Program; 3], times: usize) {
    let turn = traffic::turn().await;
    let started = Cluster::start_on_powered_disks(programs, DISK_MEGABYTES).await.unwrap();
    let Some(mut cluster) = started else { return };
    let mut traffic = Traffic::start(turn, cluster.members.iter().map(Server::client)).await.unwrap();
    for round in 0..times {
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}: {reason}"));
        cluster.members.iter().for_each(lose_power);
        cluster.members.iter_mut().for_each(Server::kill);
        for index in 0..3 {
            traffic.lost(cluster.members[index].client()).await;
            restore_power(&cluster.members[index]);
            cluster.restart(index).unwrap();
        }
        cluster.leader().await.unwrap();
        for member in &cluster.members {
            traffic.enter(member.client()).await.unwrap();
        }
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&cluster.client(0).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn power_fails_while_much_is_written() {
    fail_over_and_over(Program::MetaStore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_fails_while_much_is_written_on_disk() {
    if !etcd_stands_in() {
        fail_over_and_over(Program::MetaStoreOnDisk).await;
    }
}

async fn fail_over_and_over(program: Program) {
    let Some(mut server) = Server::start_on_powered_disk(program, DISK_MEGABYTES).await.unwrap() else { return };
    let mut random = StdRng::seed_from_u64(SEED);
    let written = Written::default();
    for life in 0..amount(3, 20) {
        live(&mut server, &written, random.random_range(LIFE_BYTES / 4..LIFE_BYTES)).await;
        server.restart().await.unwrap();
        written.judge(&server).await.unwrap_or_else(|found| panic!("life {life}: {found}"));
    }
}

/// The testers are tested: a disk that lies is found.
#[tokio::test(flavor = "multi_thread")]
async fn syncs_without_effect_are_found() {
    let Some(no_sync) = Preload::no_sync().unwrap() else { return };
    for program in [Program::MetaStore, Program::MetaStoreOnDisk] {
        let started = Server::start_on_powered_disk(program, DISK_MEGABYTES).await.unwrap();
        let Some(mut server) = started else { return };
        server.kill();
        no_sync.stand_in(&mut server);
        server.restart().await.unwrap();
        let written = Written::default();
        live(&mut server, &written, LIFE_BYTES).await;
        let found = server.restart().await.is_err() || written.judge(&server).await.is_err();
        assert!(found, "{program:?} has lost nothing, though nothing was synced");
    }
}

/// Writes so many bytes, and loses power while more are written.
async fn live(server: &mut Server, written: &Written, bytes: usize) {
    let client = Client::connect(server.client()).await.unwrap();
    let mut writers = JoinSet::new();
    for key in 0..WRITERS {
        let (written, client) = (written.clone(), client.clone());
        writers.spawn(async move { while written.put(&client, key).await {} });
    }
    let enough = written.acknowledged() + (bytes / VALUE_BYTES) as u64;
    while written.acknowledged() < enough {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    lose_power(server);
    server.kill();
    writers.join_all().await;
    restore_power(server);
}

/// The number of the last value of each key.
#[derive(Clone, Default)]
struct Written(Arc<[Numbers; WRITERS]>);

#[derive(Default)]
struct Numbers {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl Written {
    /// Whether it was acknowledged.
    async fn put(&self, client: &Client, key: usize) -> bool {
        let number = self.0[key].sent.fetch_add(1, Ordering::Relaxed) + 1;
        let value = number.to_be_bytes().repeat(VALUE_BYTES / 8).into();
        let put = PutRequest { key: name(key).into(), value, ..PutRequest::default() };
        let acknowledged = client.kv.clone().put(put).await.is_ok();
        if acknowledged {
            self.0[key].acknowledged.store(number, Ordering::Relaxed);
        }
        acknowledged
    }

    fn acknowledged(&self) -> u64 {
        self.0.iter().map(|numbers| numbers.acknowledged.load(Ordering::Relaxed)).sum()
    }

    /// Reads every key, and compacts, so that the disk suffices.
    async fn judge(&self, server: &Server) -> Result<(), String> {
        let told = |error: tonic::Status| error.to_string();
        let mut client = Client::connect(server.client()).await.map_err(|error| error.to_string())?;
        let mut revision = 0;
        for (key, numbers) in self.0.iter().enumerate() {
            let range = RangeRequest { key: name(key).into(), ..RangeRequest::default() };
            let answer = client.kv.range(range).await.map_err(told)?.into_inner();
            let value = answer.kvs.first().map(|kv| kv.fields().value.to_vec()).unwrap_or_default();
            let number = value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            let whole = value == number.to_be_bytes().repeat(value.len() / 8);
            let least = numbers.acknowledged.load(Ordering::Relaxed);
            if !whole || number < least || number > numbers.sent.load(Ordering::Relaxed) {
                return Err(format!("{} holds value {number}; {least} was acknowledged", name(key)));
            }
            revision = answer.header.map_or(0, |header| header.revision);
        }
        client.kv.compact(CompactionRequest { revision, physical: false }).await.map_err(told).map(drop)
    }
}

fn name(key: usize) -> String {
    format!("key {key}")
}

fn lose_power(server: &Server) {
    disk(server).lose_power().unwrap();
}

fn restore_power(server: &Server) {
    disk(server).restore().unwrap();
}

fn disk(server: &Server) -> &tests::powered_disk::PoweredDisk {
    let Surroundings::PoweredDisk(disk) = server.surroundings() else { unreachable!("they are started so") };
    disk
}
