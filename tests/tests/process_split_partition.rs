//! Storage nodes that cannot hear each other, before gateways that can, and a gateway that reaches a minority only.
#![allow(clippy::unwrap_used)]

use tests::binary::amount;
use tests::cut_off;
use tests::network::Network;
use tests::replicas;
use tests::split::{MIXED, Split};
use tests::traffic::{self, Traffic};

/// What is cut between the storage node that led, and the others.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Everything.
    Isolated,
    /// Everything, and no gateway reaches it.
    Lost,
    /// What it says.
    Mute,
    /// What it should hear.
    Deaf,
    /// Everything between it and one follower, who still has the other.
    Pair,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_leader_is_not_noticed() {
    divided(Cut::Isolated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_nobody_reaches_is_not_noticed() {
    divided(Cut::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whom_nobody_hears_is_not_noticed() {
    divided(Cut::Mute).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_who_hears_nobody_is_not_noticed() {
    divided(Cut::Deaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_who_cannot_reach_the_leader_is_not_noticed() {
    divided(Cut::Pair).await;
}

async fn divided(cut: Cut) {
    for _ in 0..amount(1, 5) {
        let turn = traffic::turn().await;
        let network = Network::new(3, 2).await.unwrap();
        let split = Split::start_behind(&network, &MIXED, 2).await.unwrap();
        let leader = split.leader(0).await.unwrap();
        let [next, last] = [(leader + 1) % 3, (leader + 2) % 3];
        let mut traffic = Traffic::start(turn, [0, 1].map(|index| split.gateways[index].client())).await.unwrap();
        traffic.goes_on().await.unwrap();
        match cut {
            Cut::Isolated => network.isolate(leader),
            Cut::Lost => {
                network.isolate(leader);
                [0, 1].into_iter().for_each(|gateway| network.part(leader, network.gateway(gateway)));
            }
            Cut::Mute => [next, last].into_iter().for_each(|other| network.cut(leader, other)),
            Cut::Deaf => [next, last].into_iter().for_each(|other| network.cut(other, leader)),
            Cut::Pair => network.part(leader, next),
        }
        for _ in 0..2 {
            traffic.goes_on().await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        }
        network.heal();
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("{cut:?}, healed: {reason}"));
        traffic.judge(&split.client(1).await).await.unwrap_or_else(|reason| panic!("{cut:?}: {reason}"));
        replicas::of_split_are_equal(split).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_minority_refuses_and_serves_nothing_stale() {
    for _ in 0..amount(1, 5) {
        let turn = traffic::turn().await;
        let network = Network::new(3, 2).await.unwrap();
        let split = Split::start_behind(&network, &MIXED, 2).await.unwrap();
        let leader = split.leader(0).await.unwrap();
        let mut traffic = Traffic::start(turn, [split.gateways[1].client()]).await.unwrap();
        let unlucky = cut_off::clients(split.gateways[0].client(), &traffic.record);
        let client = split.client(0).await;
        traffic.goes_on().await.unwrap();
        network.isolate(leader);
        [1, 2].into_iter().for_each(|step| network.part((leader + step) % 3, network.gateway(0)));
        cut_off::refuses(&client).await;
        cut_off::get(&client, true).await.unwrap();
        traffic.goes_on().await.unwrap();
        network.heal();
        cut_off::heals(&client, &traffic.record).await;
        traffic.goes_on().await.unwrap();
        traffic.record.stop();
        unlucky.join_all().await;
        traffic.judge(&client).await.unwrap();
        replicas::of_split_are_equal(split).await.unwrap();
    }
}
