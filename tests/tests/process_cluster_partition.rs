//! Members that cannot hear each other: paths between processes cut one by one, with clients on every side.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proto::etcdserverpb::StatusRequest;
use tests::binary::amount;
use tests::cluster::{Cluster, MIXED};
use tests::cut_off;
use tests::network::Network;
use tests::replicas;
use tests::traffic::{self, Traffic};

/// For an election among the others, and its news.
const REPLACED_WITHIN: Duration = Duration::from_secs(10);

/// What is cut between the member that led, and the others.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Everything.
    Isolated,
    /// What it says.
    Mute,
    /// What it should hear.
    Deaf,
    /// Everything between it and one follower, who still has the other.
    Pair,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_leader_refuses_and_serves_nothing_stale() {
    divided(Cut::Isolated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whom_nobody_hears_is_replaced() {
    divided(Cut::Mute).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_who_hears_nobody_is_replaced() {
    divided(Cut::Deaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_who_cannot_reach_the_leader_disturbs_nobody() {
    divided(Cut::Pair).await;
}

async fn divided(cut: Cut) {
    for _ in 0..amount(1, 5) {
        let turn = traffic::turn().await;
        let network = Network::new(3, 0).await.unwrap();
        let cluster = Cluster::start_behind(&network, &MIXED).await.unwrap();
        let leader = cluster.leader().await.unwrap();
        let [next, last] = [(leader + 1) % 3, (leader + 2) % 3];
        // Whose clients may be refused, and whose may not.
        let (odd, lucky) = if matches!(cut, Cut::Pair) { (next, [leader, last]) } else { (leader, [next, last]) };
        let address = |index: usize| cluster.members[index].client();
        let mut traffic = Traffic::start(turn, lucky.map(address)).await.unwrap();
        let unlucky = cut_off::clients(address(odd), &traffic.record);
        let client = cluster.client(odd).await.unwrap();
        traffic.goes_on().await.unwrap();
        match cut {
            Cut::Isolated => network.isolate(leader),
            Cut::Mute => [next, last].into_iter().for_each(|other| network.cut(leader, other)),
            Cut::Deaf => [next, last].into_iter().for_each(|other| network.cut(other, leader)),
            Cut::Pair => network.part(leader, next),
        }
        if matches!(cut, Cut::Isolated) {
            cut_off::refuses(&client).await;
        }
        if !matches!(cut, Cut::Pair) {
            another_leads(&cluster, last, leader).await;
        }
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        cut_off::get(&client, true).await.unwrap();
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        network.heal();
        cut_off::heals(&client, &traffic.record).await;
        traffic.goes_on().await.unwrap();
        traffic.record.stop();
        unlucky.join_all().await;
        traffic.judge(&client).await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        replicas::are_equal(cluster).await.unwrap();
    }
}

/// Waits until a member follows, or is, somebody else.
async fn another_leads(cluster: &Cluster, at: usize, than: usize) {
    let old = id(cluster, than).await;
    let mut maintenance = cluster.client(at).await.unwrap().maintenance;
    let changed = async {
        while [0, old].contains(&maintenance.status(StatusRequest::default()).await.unwrap().into_inner().leader) {}
    };
    tokio::time::timeout(REPLACED_WITHIN, changed).await.unwrap();
}

async fn id(cluster: &Cluster, index: usize) -> u64 {
    let mut maintenance = cluster.client(index).await.unwrap().maintenance;
    maintenance.status(StatusRequest::default()).await.unwrap().into_inner().header.unwrap().member_id
}
