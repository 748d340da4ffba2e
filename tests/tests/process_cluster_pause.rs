//! Members that stand still and go on: nothing stale from one that was the leader, no service without a majority but
//! what needs none.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use tests::binary::{amount, etcd_stands_in};
use tests::client::Client;
use tests::cluster::{Cluster, MIXED};
use tests::history::{load, read};
use tests::process::Server;
use tests::replicas;
use tests::traffic::{self, Traffic};
use tonic::{Code, Request, Status};

/// Reads that wait in the sockets of a paused member.
const READS: usize = 50;
/// What the server takes at most to refuse: 5 s and two election timeouts, and a little to notice.
const REFUSES_WITHIN: Duration = Duration::from_secs(9);
/// A client's own, shorter.
const DEADLINE: Duration = Duration::from_secs(2);

fn range(serializable: bool) -> RangeRequest {
    RangeRequest { key: "one".into(), serializable, ..RangeRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_leader_serves_nothing_stale() {
    // Clients of the others are answered with errors when etcd's leader stands still.
    if etcd_stands_in() {
        return;
    }
    let turn = traffic::turn().await;
    let cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let mut traffic = Traffic::start(turn, cluster.members.iter().map(Server::client)).await.unwrap();
    for round in 0..amount(2, 10) {
        traffic.goes_on().await.unwrap_or_else(|reason| panic!("round {round}: {reason}"));
        let leader = cluster.leader().await.unwrap();
        let [paused, other] = [leader, (leader + 1) % 3].map(|index| cluster.client(index));
        let (paused, other) = (paused.await.unwrap(), other.await.unwrap());
        load::put(&paused, &traffic.record).await.unwrap();
        cluster.members[leader].pause();
        load::put(&other, &traffic.record).await.unwrap();
        // They are in its sockets before it goes on, and before it hears that it leads no more.
        let asked = (0..READS).map(|_| read::current(&paused, &traffic.record));
        let asked = join_all(asked);
        tokio::pin!(asked);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut asked).await;
        assert!(early.is_err(), "a paused member has answered");
        cluster.members[leader].resume();
        for answer in asked.await {
            answer.unwrap_or_else(|status| panic!("round {round}: {status}"));
        }
        paused.kv.clone().range(range(true)).await.unwrap();
    }
    traffic.goes_on().await.unwrap();
    traffic.judge(&cluster.client(0).await.unwrap()).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_without_a_majority_refuses_in_time() {
    alone_refuses(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_majority_refuses_in_time() {
    alone_refuses(0).await;
}

/// The member so many places behind the leader is left alone.
async fn alone_refuses(behind: usize) {
    let cluster = Cluster::start(&MIXED, &[]).await.unwrap();
    let left = (cluster.leader().await.unwrap() + behind) % 3;
    let client = cluster.client(left).await.unwrap();
    put(&client, None).await.unwrap();
    let others = (0..3).filter(|index| *index != left).map(|index| &cluster.members[index]);
    others.clone().for_each(Server::pause);
    let begun = Instant::now();
    let (write, read, impatient, serializable) = tokio::join!(
        put(&client, None),
        get(&client, false, None),
        async { (put(&client, Some(DEADLINE)).await, begun.elapsed()) },
        get(&client, true, Some(DEADLINE)),
    );
    let took = begun.elapsed();
    serializable.unwrap();
    let (write, read) = (write.unwrap_err(), read.unwrap_err());
    // What was on its way to a member that stood still may be in its log.
    let words = ["etcdserver: request timed out", "etcdserver: request timed out, possibly due to connection lost"];
    assert!(write.code() == Code::Unavailable && words.contains(&write.message()), "{write:?}");
    assert_eq!((read.code(), read.message()), (Code::Unavailable, words[0]));
    assert!(took < REFUSES_WITHIN, "{took:?}");
    let (impatient, took) = impatient;
    let status = impatient.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    assert!(took < 2 * DEADLINE, "{took:?}");
    // It knows by now that it has nobody.
    let mut asked = Request::new(range(false));
    asked.metadata_mut().insert("hasleader", "true".parse().unwrap());
    let status = client.kv.clone().range(asked).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
    get(&client, true, Some(DEADLINE)).await.unwrap();
    others.for_each(Server::resume);
    put(&client, None).await.unwrap();
    get(&client, false, None).await.unwrap();
    replicas::are_equal(cluster).await.unwrap();
}

async fn put(client: &Client, deadline: Option<Duration>) -> Result<(), Status> {
    let put = PutRequest { key: "one".into(), value: "value".into(), ..PutRequest::default() };
    client.kv.clone().put(within(put, deadline)).await.map(drop)
}

async fn get(client: &Client, serializable: bool, deadline: Option<Duration>) -> Result<(), Status> {
    client.kv.clone().range(within(range(serializable), deadline)).await.map(drop)
}

fn within<T>(message: T, deadline: Option<Duration>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    request
}
