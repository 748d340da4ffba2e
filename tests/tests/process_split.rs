//! Storage nodes and gateways as processes of their own: one history through every gateway, whoever is killed.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, LeaseTimeToLiveRequest, MemberListRequest, PutRequest, RangeRequest,
    StatusRequest,
};
use tests::binary::{Program, amount};
use tests::client::Client;
use tests::history::follow::{self, Follower};
use tests::history::load;
use tests::http;
use tests::process::Server;
use tests::replicas;
use tests::split::{MIXED, Split, TOKEN};
use tests::traffic::{self, Traffic, Turn};

/// A terminated process drains for a moment before it ends.
const GRACE: Duration = Duration::from_secs(15);
/// For a log line.
const SAID_WITHIN: Duration = Duration::from_secs(30);
/// What a member misses, in steps of traffic: many thousand writes.
const MISSED: usize = 80;
/// Far more than an election takes, and less than it takes to apply those.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(3);
/// The storage nodes that apply slowest.
const ON_DISK: [usize; 2] = [1, 2];

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_serves_one_history() {
    let split = Split::start(&MIXED, 2, &[]).await.unwrap();
    let [first, second] = [split.client(0).await, split.client(1).await];
    let follower = Follower::start(&second, 2).await.unwrap();
    let lease = first.lease.clone().lease_grant(LeaseGrantRequest { ttl: 60, id: 0 }).await.unwrap().into_inner().id;
    let put = |key: &str| PutRequest { key: key.to_owned().into(), value: "v".into(), lease, ..PutRequest::default() };
    for (index, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let [writer, reader] = if index % 2 == 0 { [&first, &second] } else { [&second, &first] };
        let written = writer.kv.clone().put(put(key)).await.unwrap().into_inner().header.unwrap();
        let read = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
        let read = reader.kv.clone().range(read).await.unwrap().into_inner();
        assert_eq!((read.kvs.len(), read.kvs[0].fields().mod_revision.0), (1, written.revision));
        let header = read.header.unwrap();
        assert_eq!((header.cluster_id, header.revision), (written.cluster_id, written.revision));
        // A gateway by itself names whoever executed.
        assert!((0..3).any(|index| split.member_id(index) == header.member_id), "{header:?}");
    }
    let asked = second.lease.clone().lease_time_to_live(LeaseTimeToLiveRequest { id: lease, keys: true }).await;
    assert_eq!(asked.unwrap().into_inner().keys.len(), 4);
    let delete = DeleteRangeRequest { key: "a".into(), range_end: "c".into(), ..DeleteRangeRequest::default() };
    assert_eq!(second.kv.clone().delete_range(delete).await.unwrap().into_inner().deleted, 2);
    let current = follow::current(&first).await.unwrap();
    let seen: Vec<_> = follower.finish(current).await.unwrap().into_iter().map(|change| change.revision).collect();
    assert_eq!(seen, [2, 3, 4, 5, 6, 6]);
    let members = first.cluster.clone().member_list(MemberListRequest::default()).await.unwrap().into_inner();
    assert_eq!(members.members.len(), 3);
}

/// Clients at the gateways of these numbers.
async fn traffic(turn: Turn, split: &Split, gateways: &[usize]) -> Traffic {
    Traffic::start(turn, gateways.iter().map(|&gateway| split.gateways[gateway].client())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_not_noticed() {
    let turn = traffic::turn().await;
    let mut split = Split::start(&MIXED, 2, &[]).await.unwrap();
    let mut traffic = traffic(turn, &split, &[0, 1]).await;
    for _ in 0..amount(3, 20) {
        traffic.goes_on().await.unwrap();
        let leader = split.leader(0).await.unwrap();
        split.storenodes[leader].kill();
        traffic.goes_on().await.unwrap();
        split.storenodes[leader].restart().await.unwrap();
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&split.client(1).await).await.unwrap();
    replicas::of_split_are_equal(split).await.unwrap();
}

/// A member that has just come back has logged what the others have long before it has applied it.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_while_another_catches_up_is_not_noticed() {
    let turn = traffic::turn().await;
    let mut split = Split::start(&MIXED, 2, &[]).await.unwrap();
    let mut traffic = traffic(turn, &split, &[0, 1]).await;
    let leader = split.leader(0).await.unwrap();
    let behind = ON_DISK.into_iter().find(|&index| index != leader).unwrap();
    split.storenodes[behind].kill();
    for _ in 0..MISSED {
        traffic.goes_on().await.unwrap();
    }
    split.storenodes[behind].restart().await.unwrap();
    traffic.goes_on().await.unwrap();
    let leader = split.leader(0).await.unwrap();
    split.storenodes[leader].kill();
    let killed = Instant::now();
    traffic.record.acknowledged(1).await;
    assert!(killed.elapsed() < TAKEN_OVER_WITHIN, "{:?}", killed.elapsed());
    split.storenodes[leader].restart().await.unwrap();
    traffic.goes_on().await.unwrap();
    traffic.judge(&split.client(1).await).await.unwrap();
    replicas::of_split_are_equal(split).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stands_still_is_not_noticed() {
    let turn = traffic::turn().await;
    let split = Split::start(&MIXED, 2, &[]).await.unwrap();
    let mut traffic = traffic(turn, &split, &[0, 1]).await;
    for _ in 0..amount(1, 5) {
        traffic.goes_on().await.unwrap();
        let leader = split.leader(0).await.unwrap();
        split.storenodes[leader].pause();
        traffic.goes_on().await.unwrap();
        split.storenodes[leader].resume();
        traffic.goes_on().await.unwrap();
    }
    traffic.judge(&split.client(1).await).await.unwrap();
    replicas::of_split_are_equal(split).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_nodes_that_are_restarted_in_turn_are_not_noticed() {
    let turn = traffic::turn().await;
    let mut split = Split::start(&MIXED, 2, &[]).await.unwrap();
    let mut traffic = traffic(turn, &split, &[0, 1]).await;
    for round in 0..amount(1, 5) {
        for index in 0..3 {
            traffic.goes_on().await.unwrap();
            let status = split.storenodes[index].terminate(GRACE).await.unwrap();
            assert!(status.success(), "round {round}, node {index}: {status}");
            split.storenodes[index].restart().await.unwrap();
        }
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&split.client(0).await).await.unwrap();
    replicas::of_split_are_equal(split).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_is_not_noticed_at_the_others() {
    let turn = traffic::turn().await;
    let mut split = Split::start(&MIXED, 2, &[]).await.unwrap();
    let mut traffic = traffic(turn, &split, &[1]).await;
    for _ in 0..amount(2, 10) {
        let mut others = load::start(split.gateways[0].client(), &traffic.record, 7);
        traffic.goes_on().await.unwrap();
        split.gateways[0].kill();
        while others.join_next().await.is_some() {}
        traffic.goes_on().await.unwrap();
        split.gateways[0].restart().await.unwrap();
    }
    traffic.judge(&split.client(0).await).await.unwrap();
    replicas::of_split_are_equal(split).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_asked_to_end_drains() {
    let turn = traffic::turn().await;
    let mut split = Split::start(&[Program::StoreNode], 2, &[]).await.unwrap();
    let mut traffic = traffic(turn, &split, &[1]).await;
    let mut others = load::start(split.gateways[0].client(), &traffic.record, 7);
    let watch = Follower::start(&split.client(0).await, 2).await.unwrap();
    traffic.goes_on().await.unwrap();
    let status = split.gateways[0].terminate(GRACE).await.unwrap();
    assert!(status.success(), "{status}");
    while others.join_next().await.is_some() {}
    let ended = watch.finish(i64::MAX).await.unwrap_err();
    assert!(ended.message().contains("the watch came to"), "{ended}");
    traffic.goes_on().await.unwrap();
    traffic.judge(&split.client(1).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_before_its_storage_nodes_and_survives_them() {
    let mut split = Split::start(&[Program::StoreNode], 1, &[]).await.unwrap();
    let health = |gateway: &Server| http::get(gateway.client(), "/health");
    split.storenodes[0].kill();
    let alone = split.gateway(&[TOKEN]).unwrap();
    for gateway in [&split.gateways[0], &alone] {
        let refused = until(|| async { health(gateway).await.ok().filter(|reply| reply.status == 503) }).await;
        assert_eq!(refused.unwrap().text(), "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
    }
    split.storenodes[0].restart().await.unwrap();
    for gateway in [&split.gateways[0], &alone] {
        let served = until(|| async { health(gateway).await.ok().filter(|reply| reply.status == 200) }).await;
        assert!(served.is_some());
        let client = Client::connect(gateway.client()).await.unwrap();
        client.kv.clone().put(PutRequest { key: "k".into(), ..PutRequest::default() }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_learns_of_all_founders_from_the_first_that_answers() {
    let mut split = Split::prepare(&MIXED).unwrap();
    split.storenodes[0].spawn().unwrap();
    // Nobody leads yet, so nobody has published itself.
    let gateway = split.gateway(&[TOKEN, &format!("--storenodes={}", split.peer_url(0))]).unwrap();
    let status = || async {
        let mut client = Client::connect(gateway.client()).await.ok()?;
        client.maintenance.status(StatusRequest::default()).await.ok()
    };
    assert!(until(status).await.is_some(), "{}", gateway.log_tail());
    split.storenodes[0].kill();
    for other in &mut split.storenodes[1..] {
        other.spawn().unwrap();
    }
    let health = || async { http::get(gateway.client(), "/health").await.ok().filter(|reply| reply.status == 200) };
    assert!(until(health).await.is_some(), "{}", gateway.log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_by_name() {
    let split = Split::start(&[Program::StoreNode], 0, &[]).await.unwrap();
    let stranger = split.gateway(&["--initial-cluster-token=guess"]).unwrap();
    let reason = "wrong cluster token: start all of a cluster with the same --initial-cluster-token";
    for log in [&stranger, &split.storenodes[0]] {
        log.says(reason).await.unwrap();
        assert_eq!(log.log().matches(reason).count(), 1, "{}", log.log_tail());
    }
    assert_eq!(http::get(stranger.client(), "/health").await.unwrap().status, 503);
    let open = ["--listen-peer-urls=http://0.0.0.0:0", "--initial-advertise-peer-urls=http://127.0.0.1:1"];
    let refused = Command::new(Program::StoreNode.path()).args(open).output().unwrap();
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(sentence.starts_with("storenode would serve everybody who reaches 0.0.0.0:0"), "{sentence}");
    assert_eq!(refused.status.code(), Some(1));
}

/// One call of a command of `storenode`: whether it succeeded, and what it said.
fn storenode(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(Program::StoreNode.path()).args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_looked_at_drained_and_verified() {
    let mut split = Split::start(&MIXED, 1, &[]).await.unwrap();
    let leader = split.leader(0).await.unwrap();
    let endpoint = format!("--endpoint={}", split.peer_url(leader));
    let (answered, status) = storenode(&["status", &endpoint, TOKEN, "--output=json"]);
    assert!(answered && status.contains("\"leads\":true") && status.contains("\"drained\":false"), "{status}");
    assert!(!storenode(&["status", &endpoint, "--initial-cluster-token=guess"]).0);

    let (answered, status) = storenode(&["drain", &endpoint, TOKEN, "--output=json"]);
    assert!(answered && status.contains("\"leads\":false") && status.contains("\"drained\":true"), "{status}");
    let operations = split.storenodes[leader].client();
    assert_eq!(http::get(operations, "/readyz").await.unwrap().status, 503);
    assert_eq!(http::get(operations, "/health").await.unwrap().status, 200);
    assert!(http::get(operations, "/metrics").await.unwrap().text().contains("\netcd_server_is_leader 0\n"));
    let client = split.client(0).await;
    client.kv.clone().put(PutRequest { key: "k".into(), ..PutRequest::default() }).await.unwrap();

    let data = format!("--data-dir={}", split.storenodes[leader].data().display());
    assert!(!storenode(&["verify", &data]).0, "a running node's data is its own");
    split.storenodes[leader].terminate(GRACE).await.unwrap();
    let (sound, findings) = storenode(&["verify", &data]);
    assert!(sound && findings.lines().count() == 3, "{findings}");
    let segment = damage(&split.storenodes[leader]);
    let damaged = std::fs::read(&segment).unwrap();
    let (sound, findings) = storenode(&["verify", &data]);
    assert!(std::fs::read(segment).unwrap() == damaged, "it was only looked at");
    assert!(!sound && findings.contains("DAMAGED") && findings.contains(".segment"), "{findings}");
}

/// Turns over the bits of one byte among the first records of the log; where that is.
fn damage(server: &Server) -> PathBuf {
    let segments = std::fs::read_dir(server.data().join("store/log")).unwrap().map(|entry| entry.unwrap().path());
    let first = segments.filter(|path| path.extension().is_some_and(|suffix| suffix == "segment")).min().unwrap();
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[300] ^= 0xff;
    std::fs::write(&first, bytes).unwrap();
    first
}

/// Asks until there is an answer; `None` if there is none in time.
async fn until<T, F: Future<Output = Option<T>>>(question: impl Fn() -> F) -> Option<T> {
    let deadline = Instant::now() + SAID_WITHIN;
    while Instant::now() < deadline {
        if let Some(answer) = question().await {
            return Some(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}
