//! Members that cannot hear each other: paths between processes cut one by one, with clients on every side.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::etcdserverpb::{PutRequest, RangeRequest, StatusRequest};
use tests::binary::amount;
use tests::client::Client;
use tests::cluster::{Cluster, MIXED};
use tests::history::load::{self, Record};
use tests::history::read;
use tests::network::Network;
use tests::replicas;
use tests::traffic::{self, Traffic};
use tokio::task::JoinSet;
use tonic::{Code, Status};

/// Clients of the member that is cut off.
const UNLUCKY: usize = 4;
/// For an election among the others, and its news.
const REPLACED_WITHIN: Duration = Duration::from_secs(10);
/// For a member that can reach the others again.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

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
        let network = Network::new(3).await.unwrap();
        let cluster = Cluster::start_behind(&network, &MIXED).await.unwrap();
        let leader = cluster.leader().await.unwrap();
        let [next, last] = [(leader + 1) % 3, (leader + 2) % 3];
        // Whose clients may be refused, and whose may not.
        let (odd, lucky) = if matches!(cut, Cut::Pair) { (next, [leader, last]) } else { (leader, [next, last]) };
        let address = |index: usize| cluster.members[index].client();
        let mut traffic = Traffic::start(turn, lucky.map(address)).await.unwrap();
        let unlucky = unlucky(address(odd), &traffic.record);
        let client = cluster.client(odd).await.unwrap();
        traffic.goes_on().await.unwrap();
        match cut {
            Cut::Isolated => network.isolate(leader),
            Cut::Mute => [next, last].into_iter().for_each(|other| network.cut(leader, other)),
            Cut::Deaf => [next, last].into_iter().for_each(|other| network.cut(other, leader)),
            Cut::Pair => [(leader, next), (next, leader)].into_iter().for_each(|(from, to)| network.cut(from, to)),
        }
        if matches!(cut, Cut::Isolated) {
            refuses(&client).await;
        }
        if !matches!(cut, Cut::Pair) {
            another_leads(&cluster, last, leader).await;
        }
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        get(&client, true).await.unwrap();
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        network.heal();
        let healed = async { while load::put(&client, &traffic.record).await.is_err() {} };
        tokio::time::timeout(HEALED_WITHIN, healed).await.unwrap();
        read::current(&client, &traffic.record).await.unwrap();
        traffic.goes_on().await.unwrap();
        traffic.record.stop();
        unlucky.join_all().await;
        traffic.judge(&client).await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        replicas::are_equal(cluster).await.unwrap();
    }
}

/// Clients that take refusals, but nothing stale.
fn unlucky(address: SocketAddr, record: &Arc<Record>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for _ in 0..UNLUCKY {
        let record = Arc::clone(record);
        clients.spawn(async move {
            let client = Client::connect(address).await.unwrap();
            while !record.is_stopped() {
                // The record notes what must not be.
                let _ = load::put(&client, &record).await;
                let _ = read::current(&client, &record).await;
            }
        });
    }
    clients
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

async fn refuses(client: &Client) {
    let (write, read) = tokio::join!(put(client), get(client, false));
    for refused in [write, read] {
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().starts_with("etcdserver: request timed out"), "{status:?}");
    }
}

/// Of a key that is no part of the history that is judged.
async fn put(client: &Client) -> Result<(), Status> {
    let nothing = PutRequest { key: "refused".into(), lease: i64::MAX, ..PutRequest::default() };
    client.kv.clone().put(nothing).await.map(drop)
}

async fn get(client: &Client, serializable: bool) -> Result<(), Status> {
    let range = RangeRequest { key: "one".into(), serializable, ..RangeRequest::default() };
    client.kv.clone().range(range).await.map(drop)
}
