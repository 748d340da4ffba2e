//! Processes that do not belong to a cluster, or not as they are: each is refused with one line on both sides, or
//! harmless.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proto::etcdserverpb::{LeaseGrantRequest, LeaseTimeToLiveRequest, RangeRequest};
use tests::client::Client;
use tests::cluster::{Cluster, MIXED};
use tests::history::load::{self, Record};
use tests::preload::Preload;
use tests::process::Server;
use tests::replicas;
use tests::traffic::{self, Traffic};

/// For a log line.
const SAID_WITHIN: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// How far the time of day is ahead at each member, in seconds.
const CLOCKS: [i64; 3] = [3_600, 0, -3_600];
/// In seconds: the shortest lease a client can get is two.
const SHORT: i64 = 3;
const LONG: i64 = 600;
/// How late a lease may end: a new leader grants everybody a whole life again.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_another_token_is_refused() {
    is_refused("wrong cluster token", |_| "--initial-cluster-token=other".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_cluster_is_refused() {
    is_refused("wrong cluster: ", |list| format!("--initial-cluster={list},more=http://127.0.0.1:1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_of_a_member_is_refused() {
    is_refused("duplicate member: ", |list| format!("--initial-cluster={list}")).await;
}

/// A process with a member's flags but for one, new data, and ports of its own: it calls the others, nobody calls it.
async fn is_refused(reason: &str, flag: impl Fn(&str) -> String) {
    let turn = traffic::turn().await;
    let cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let mut traffic = Traffic::start(turn, cluster.members.iter().map(Server::client)).await.unwrap();
    for index in [leader, (leader + 1) % 3] {
        let stranger = cluster.stranger(index, &[flag(&cluster.list).as_str()]).unwrap();
        let others: Vec<&Server> =
            (0..3).filter(|other| *other != index).map(|other| &cluster.members[other]).collect();
        let told = || others.iter().all(|other| refusals(other, reason) > 0);
        let deadline = Instant::now() + SAID_WITHIN;
        while !(told() && refusals(&stranger, reason) >= others.len()) {
            assert!(Instant::now() < deadline, "{}", stranger.log_tail());
            tokio::time::sleep(POLL_EVERY).await;
        }
        // It tries again and again meanwhile.
        traffic.goes_on().await.unwrap();
        // Its lanes are several connections of one caller.
        assert_eq!(refusals(&stranger, reason), others.len(), "{}", stranger.log_tail());
    }
    assert_eq!(cluster.leader().await.unwrap(), leader, "nobody was deposed");
    traffic.judge(&cluster.client(leader).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

/// Lines with a reason.
fn refusals(server: &Server, reason: &str) -> usize {
    server.log().lines().filter(|line| line.contains(reason)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_an_hour_apart_hurt_nobody() {
    let turn = traffic::turn().await;
    let Some(wall_clock) = Preload::wall_clock().unwrap() else { return };
    let mut cluster = Cluster::prepare(&MIXED, &[]).unwrap();
    for (member, ahead) in cluster.members.iter_mut().zip(CLOCKS) {
        wall_clock.stand_in(member);
        member.set_variable("CLOCK_AHEAD", ahead.to_string());
    }
    cluster.found().await.unwrap();
    let hours: Vec<String> = cluster.members.iter().map(|member| hour(&member.log())).collect();
    assert!(hours[0] != hours[1] && hours[1] != hours[2], "{hours:?}: the clocks are not apart");
    let mut traffic = Traffic::start(turn, cluster.members.iter().map(Server::client)).await.unwrap();
    // Everybody leads once, if only by chance: whoever follows has another time of day.
    for round in 0..3 {
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}: {reason}"));
        let leader = cluster.leader().await.unwrap();
        let survivor = cluster.client((leader + 1) % 3).await.unwrap();
        let short = lease(&survivor, &traffic.record, "short", SHORT).await;
        let long = lease(&survivor, &traffic.record, "long", LONG).await;
        cluster.members[leader].kill();
        traffic.lost(cluster.members[leader].client()).await;
        assert!(time_to_live(&survivor, short).await > 0, "round {round}: it has ended early");
        let granted = Instant::now();
        while exists(&survivor, "short").await {
            assert!(granted.elapsed() < ENDED_WITHIN, "round {round}: the lease does not end");
            tokio::time::sleep(POLL_EVERY).await;
        }
        assert!((1..=LONG).contains(&time_to_live(&survivor, long).await), "round {round}");
        assert!(exists(&survivor, "long").await, "round {round}");
        cluster.members[leader].restart().await.unwrap();
        traffic.enter(cluster.members[leader].client()).await.unwrap();
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&cluster.client(0).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

/// The date and hour of the first line.
fn hour(log: &str) -> String {
    let (_, stamp) = log.split_once("\"ts\":\"").unwrap();
    stamp[.."2000-01-01T00".len()].to_owned()
}

async fn lease(client: &Client, record: &Record, key: &str, ttl: i64) -> i64 {
    let lease = client.lease.clone().lease_grant(LeaseGrantRequest { ttl, id: 0 }).await.unwrap().into_inner().id;
    load::put_with(client, record, key, lease).await.unwrap();
    lease
}

async fn time_to_live(client: &Client, id: i64) -> i64 {
    let request = LeaseTimeToLiveRequest { id, keys: false };
    client.lease.clone().lease_time_to_live(request).await.unwrap().into_inner().ttl
}

async fn exists(client: &Client, key: &str) -> bool {
    let range = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    client.kv.clone().range(range).await.unwrap().into_inner().count == 1
}
