//! Members killed or asked to end under load: who is connected to the others is served on, and nothing is lost.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use tests::binary::{Program, amount};
use tests::cluster::{Cluster, MIXED};
use tests::history::load;
use tests::process::Server;
use tests::replicas;
use tests::traffic::{self, Traffic, Turn};

/// Half of the failovers take at most this long, counted from the kill to the answer of a write sent after it. (A real
/// etcd, killed in the same way: 1.2 s.)
const MEDIAN_FAILOVER: Duration = Duration::from_millis(500);
/// A terminated member drains for a moment before it ends.
const GRACE: Duration = Duration::from_secs(10);

/// Clients at all members.
async fn traffic(turn: Turn, cluster: &Cluster) -> Traffic {
    Traffic::start(turn, cluster.members.iter().map(Server::client)).await.unwrap()
}

/// Starts a member again, with clients.
async fn back(cluster: &mut Cluster, member: usize, traffic: &mut Traffic) {
    cluster.members[member].restart().await.unwrap();
    traffic.enter(cluster.members[member].client()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_at_once() {
    let mut failovers = Vec::new();
    // A history that is read from its begin after each fault shall not grow for ever.
    for _ in 0..amount(1, 5) {
        failovers.extend(kill_leaders(&MIXED, amount(5, 10)).await);
    }
    failovers.sort_unstable();
    eprintln!("from the kill to the next acknowledged write: {failovers:?}");
    assert!(failovers[failovers.len() / 2] <= MEDIAN_FAILOVER, "{failovers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_whatever_the_engine() {
    kill_leaders(&[Program::MetaStore; 3], amount(1, 10)).await;
    kill_leaders(&[Program::MetaStoreOnDisk; 3], amount(1, 10)).await;
}

/// How long each failover took.
async fn kill_leaders(programs: &[Program; 3], times: usize) -> Vec<Duration> {
    let turn = traffic::turn().await;
    let mut cluster = Cluster::start(programs, &[]).await.unwrap();
    let mut traffic = traffic(turn, &cluster).await;
    let mut failovers = Vec::new();
    for round in 0..times {
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}: {reason}"));
        let leader = cluster.leader().await.unwrap();
        let survivor = cluster.client((leader + 1) % 3).await.unwrap();
        cluster.members[leader].kill();
        let killed = Instant::now();
        load::put(&survivor, &traffic.record).await.unwrap();
        failovers.push(killed.elapsed());
        traffic.lost(cluster.members[leader].client()).await;
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}, after the kill: {reason}"));
        back(&mut cluster, leader, &mut traffic).await;
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&cluster.client(0).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
    failovers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_leader_fails_no_request() {
    let turn = traffic::turn().await;
    let mut cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let mut traffic = traffic(turn, &cluster).await;
    for round in 0..amount(2, 10) {
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}: {reason}"));
        let leader = cluster.leader().await.unwrap();
        let status = cluster.members[leader].terminate(GRACE).await.unwrap();
        assert!(status.success(), "round {round}: {status}");
        traffic.left(cluster.members[leader].client()).await.unwrap();
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}, after the end: {reason}"));
        back(&mut cluster, leader, &mut traffic).await;
    }
    traffic.judge(&cluster.client(0).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_killed_at_once_lose_nothing() {
    for _ in 0..amount(1, 4) {
        kill_all(amount(2, 5)).await;
    }
}

async fn kill_all(times: usize) {
    let turn = traffic::turn().await;
    let mut cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let mut traffic = traffic(turn, &cluster).await;
    for round in 0..times {
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}: {reason}"));
        cluster.members.iter_mut().for_each(Server::kill);
        for index in 0..3 {
            traffic.lost(cluster.members[index].client()).await;
            cluster.restart(index).unwrap();
        }
        cluster.leader().await.unwrap();
        for index in 0..3 {
            traffic.enter(cluster.members[index].client()).await.unwrap();
        }
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&cluster.client(0).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}
