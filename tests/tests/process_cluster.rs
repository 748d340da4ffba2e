//! Clusters of real processes: founded by etcd's flags, asked to end one by one.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proto::etcdserverpb::PutRequest;
use tests::binary::{Program, etcd_stands_in};
use tests::cluster::{Cluster, MIXED};
use tests::replicas;

/// Writes between two faults.
const WRITES: usize = 50;
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
    replicates(&[Program::MetaStore; 3]).await;
    replicates(&[Program::MetaStoreOnDisk; 3]).await;
    replicates(&MIXED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_members_replicate() {
    let [memory, disk, _] = MIXED;
    replicates(&[memory, disk, memory, disk, memory]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_founded_by_the_earlier_products_flags() {
    if !etcd_stands_in() {
        replicate(Cluster::start_by_numbers(&MIXED).await.unwrap()).await;
    }
}

async fn replicates(programs: &[Program]) {
    replicate(Cluster::start(programs, &[]).await.unwrap()).await;
}

async fn replicate(cluster: Cluster) {
    let leader = cluster.leader().await.unwrap();
    let written = put_many(&cluster, leader, 0).await;
    assert_eq!(cluster.agree().await.unwrap(), written);
    replicas::are_equal(cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_leader_hands_over_first() {
    let mut cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let written = put_many(&cluster, leader, 0).await;
    let status = cluster.members[leader].terminate(GRACE).await.unwrap();
    assert!(status.success(), "{status}");
    cluster.members[leader].says("handing leadership over").await.unwrap();
    let next = cluster.leader().await.unwrap();
    assert_ne!(next, leader);
    assert_eq!(put_many(&cluster, next, 1).await + written, cluster.agree().await.unwrap());
    // Nobody had to notice that it is gone.
    for (index, member) in cluster.members.iter().enumerate().filter(|(index, _)| *index != leader) {
        assert!(!member.log().contains("nobody took leadership over"), "member {index}");
    }
    cluster.restart(leader).unwrap();
    cluster.agree().await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_joins_again_by_itself() {
    let mut cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let mut written = put_many(&cluster, leader, 0).await;
    cluster.agree().await.unwrap();
    cluster.members[leader].kill();
    std::fs::remove_dir_all(cluster.members[leader].data()).unwrap();
    let next = cluster.leader().await.unwrap();
    written += put_many(&cluster, next, 1).await;
    cluster.restart(leader).unwrap();
    assert_eq!(cluster.agree().await.unwrap(), written);
    cluster.members[leader].says("this member's data is gone").await.unwrap();
    cluster.members[leader].says("installed a snapshot of the leader").await.unwrap();
    // From now on it counts as before: without the other follower it is needed for every write.
    let other = (0..3).find(|&index| index != leader && index != next).unwrap();
    cluster.members[other].kill();
    let led = cluster.leader().await.unwrap();
    written += put_many(&cluster, led, 2).await;
    cluster.restart(other).unwrap();
    assert_eq!(cluster.agree().await.unwrap(), written);
    replicas::are_equal(cluster).await.unwrap();
}
