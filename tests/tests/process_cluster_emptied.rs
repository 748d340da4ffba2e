//! A follower that was away for many writes, and comes back with an empty disk and another engine: through a snapshot,
//! while writes go on.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::etcdserverpb::{PutRequest, StatusRequest};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tests::binary::{Program, amount, etcd_stands_in};
use tests::client::Client;
use tests::cluster::{Cluster, MIXED};
use tests::replicas;
use tokio::task::JoinSet;

const VALUE: usize = 16 << 10;
const WRITERS: usize = 16;
/// Small writes whose times are the measure, from a few clients.
const PROBES: usize = 2_000;
const PROBERS: usize = 4;
/// What three members on the cores of one machine add.
const NOISE: Duration = Duration::from_millis(15);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// For a whole snapshot on a slow machine.
const BACK_WITHIN: Duration = Duration::from_secs(120);
const JOIN: &str = "--initial-cluster-state=existing";

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_follower_comes_back_with_another_engine() {
    if etcd_stands_in() {
        return;
    }
    let megabytes = amount(50, 1_000);
    let mut cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let client = cluster.client(leader).await.unwrap();
    load(&client, 0, megabytes / 10).await;
    let quiet = percentile(&client, || false).await;
    // There and back: from either engine to the other.
    let follower = (leader + 1) % 3;
    for round in 0..2 {
        cluster.members[follower].kill();
        load(&client, 1 + round, if round == 0 { megabytes } else { megabytes / 20 }).await;
        let other = match cluster.members[follower].program() {
            Program::MetaStore => Program::MetaStoreOnDisk,
            _ => Program::MetaStore,
        };
        // Without it both others have to confirm each write: that much is not the snapshot's doing.
        let away = percentile(&client, || false).await;
        cluster.members[follower].replace(other, &[JOIN]).unwrap();
        cluster.restart(follower).unwrap();
        let begun = Instant::now();
        let address = cluster.members[follower].client();
        let needed = applied(cluster.members[leader].client()).await;
        let back = tokio::spawn(async move {
            while applied(address).await < needed {
                assert!(begun.elapsed() < BACK_WITHIN, "it does not come back");
                tokio::time::sleep(POLL_EVERY).await;
            }
            begun.elapsed()
        });
        let busy = percentile(&client, || !back.is_finished()).await;
        let took = back.await.unwrap();
        cluster.members[follower].says("installed a snapshot of the leader").await.unwrap();
        eprintln!(
            "{megabytes} MB to {other:?} in {took:?}; the leader's p99 of puts: {quiet:?} with all members, {away:?} \
             with two, {busy:?} meanwhile"
        );
        assert!(busy <= quiet.max(away) * 3 / 2 + NOISE, "{busy:?} meanwhile, {quiet:?} and {away:?} before");
    }
    replicas::are_equal(cluster).await.unwrap();
}

/// Values that do not compress, by some writers at once.
async fn load(client: &Client, round: usize, megabytes: usize) {
    let each = (megabytes << 20) / VALUE / WRITERS;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut kv = client.kv.clone();
        let mut random = StdRng::seed_from_u64((round * WRITERS + writer) as u64);
        writers.spawn(async move {
            for number in 0..each {
                let mut value = vec![0; VALUE];
                random.fill_bytes(&mut value);
                let key = format!("{round}/{writer}/{number}").into();
                kv.put(PutRequest { key, value: value.into(), ..PutRequest::default() }).await.unwrap();
            }
        });
    }
    writers.join_all().await;
}

/// What 99 of 100 small writes of some clients take at most, as long as something lasts and not too few.
async fn percentile(client: &Client, lasts: impl Fn() -> bool) -> Duration {
    let over = Arc::new(AtomicBool::new(false));
    let mut probers = JoinSet::new();
    for prober in 0..PROBERS {
        let (mut kv, over) = (client.kv.clone(), Arc::clone(&over));
        probers.spawn(async move {
            let mut times = Vec::new();
            while times.len() < PROBES / PROBERS || !over.load(Ordering::Relaxed) {
                let key = format!("probe {prober}").into();
                let put = PutRequest { key, value: "probe".into(), ..PutRequest::default() };
                let begun = Instant::now();
                kv.put(put).await.unwrap();
                times.push(begun.elapsed());
            }
            times
        });
    }
    while lasts() {
        tokio::time::sleep(POLL_EVERY).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut times = probers.join_all().await.concat();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// How far a member has come; nowhere, if it does not answer.
async fn applied(address: SocketAddr) -> u64 {
    let Ok(client) = Client::connect(address).await else { return 0 };
    let status = client.maintenance.clone().status(StatusRequest::default()).await;
    status.map_or(0, |status| status.into_inner().raft_applied_index)
}
