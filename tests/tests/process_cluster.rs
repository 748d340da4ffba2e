//! Clusters of real processes: founded by etcd's flags, robbed of their leaders, asked to end.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proto::etcdserverpb::PutRequest;
use tests::binary::{Program, amount};
use tests::cluster::Cluster;

/// Writes between two faults.
const WRITES: usize = 50;
/// Half of the failovers take at most this long, counted from the kill to the first write that succeeds. (A real etcd,
/// killed in the same way: 1.2 s.)
const MEDIAN_FAILOVER: Duration = Duration::from_millis(500);
/// A terminated member drains for a moment before it ends.
const GRACE: Duration = Duration::from_secs(10);

/// Writes through the member; how many were acknowledged.
async fn put_many(cluster: &Cluster, index: usize, round: usize) -> usize {
    let client = cluster.client(index).await.unwrap();
    for number in 0..WRITES {
        put(&client, &format!("{round}/{number}")).await.unwrap();
    }
    WRITES
}

async fn put(client: &tests::client::Client, key: &str) -> Result<(), tonic::Status> {
    let request = PutRequest { key: key.to_owned().into(), value: "value".into(), ..PutRequest::default() };
    client.kv.clone().put(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_replicate() {
    replicates(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_members_replicate() {
    replicates(5).await;
}

async fn replicates(size: usize) {
    let cluster = Cluster::start(Program::MetaStore, size, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let written = put_many(&cluster, leader, 0).await;
    assert_eq!(cluster.agree().await.unwrap(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_at_once_and_catches_up() {
    let mut cluster = Cluster::start(Program::MetaStore, 3, &[]).await.unwrap();
    let (mut written, mut failovers) = (0, Vec::new());
    for round in 0..amount(5, 50) {
        let leader = cluster.leader().await.unwrap();
        written += put_many(&cluster, leader, 2 * round).await;
        cluster.members[leader].kill();
        let killed = Instant::now();
        let next = cluster.leader().await.unwrap();
        put(&cluster.client(next).await.unwrap(), &format!("first/{round}")).await.unwrap();
        failovers.push(killed.elapsed());
        written += 1 + put_many(&cluster, next, 2 * round + 1).await;
        cluster.restart(leader).unwrap();
        assert_eq!(cluster.agree().await.unwrap(), written, "round {round}");
    }
    failovers.sort_unstable();
    eprintln!("failovers: {failovers:?}");
    assert!(failovers[failovers.len() / 2] <= MEDIAN_FAILOVER, "{failovers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_leader_hands_over_first() {
    let mut cluster = Cluster::start(Program::MetaStore, 3, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let written = put_many(&cluster, leader, 0).await;
    let status = cluster.members[leader].terminate(GRACE).await.unwrap();
    assert!(status.success(), "{status}");
    assert!(cluster.members[leader].log().contains("handing leadership over"));
    let next = cluster.leader().await.unwrap();
    assert_ne!(next, leader);
    assert_eq!(put_many(&cluster, next, 1).await + written, cluster.agree().await.unwrap());
    // Nobody had to notice that it is gone.
    for (index, member) in cluster.members.iter().enumerate().filter(|(index, _)| *index != leader) {
        assert!(!member.log().contains("nobody took leadership over"), "member {index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_restart_together() {
    let mut cluster = Cluster::start(Program::MetaStore, 3, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let written = put_many(&cluster, leader, 0).await;
    cluster.members.iter_mut().for_each(tests::process::Server::kill);
    for index in 0..cluster.members.len() {
        cluster.restart(index).unwrap();
    }
    cluster.leader().await.unwrap();
    assert_eq!(cluster.agree().await.unwrap(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_joins_again_by_itself() {
    let mut cluster = Cluster::start(Program::MetaStore, 3, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let mut written = put_many(&cluster, leader, 0).await;
    cluster.agree().await.unwrap();
    cluster.members[leader].kill();
    std::fs::remove_dir_all(cluster.members[leader].data()).unwrap();
    let next = cluster.leader().await.unwrap();
    written += put_many(&cluster, next, 1).await;
    cluster.restart(leader).unwrap();
    assert_eq!(cluster.agree().await.unwrap(), written);
    let log = cluster.members[leader].log();
    assert!(log.contains("this member's data is gone") && log.contains("installed a snapshot"), "{log}");
    // From now on it counts as before: without the other follower it is needed for every write.
    let other = (0..3).find(|&index| index != leader && index != next).unwrap();
    cluster.members[other].kill();
    let led = cluster.leader().await.unwrap();
    put_many(&cluster, led, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_with_one_line_on_both_sides() {
    const REASON: &str = "wrong cluster token";
    let cluster = Cluster::start(Program::MetaStore, 3, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let written = put_many(&cluster, leader, 0).await;
    // The same flags but for the token, new data, and ports of its own: it calls the others, nobody calls it.
    let stranger = cluster.stranger(leader, &["--initial-cluster-token=other"]).unwrap();
    let deadline = Instant::now() + GRACE;
    let refusals = |log: &str| log.lines().filter(|line| line.contains(REASON)).count();
    let others: Vec<usize> = (0..3).filter(|&index| index != leader).collect();
    let told = || others.iter().all(|&index| refusals(&cluster.members[index].log()) > 0);
    while !(told() && refusals(&stranger.log()) >= others.len()) {
        assert!(Instant::now() < deadline, "{}", stranger.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It tries again and again meanwhile.
    put_many(&cluster, leader, 1).await;
    for &index in &others {
        // Its lanes are two connections of one caller.
        assert_eq!(refusals(&cluster.members[index].log()), 1, "member {index}");
    }
    assert_eq!(refusals(&stranger.log()), others.len(), "{}", stranger.log_tail());
    drop(stranger);
    assert_eq!(cluster.agree().await.unwrap(), 2 * written);
}
