//! An unmodified CoreDNS serves names that a cluster holds, whoever of the cluster is killed.
//!
//! ```text
//!  questions ─► CoreDNS, etcd plugin ─┬─► member │ gateway     killed: a member that leads
//!                                     └─► ...                  killed: a storage node that leads, behind gateways
//! ```
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::Duration;

use proto::etcdserverpb::{LeaseGrantRequest, PutRequest};
use tests::binary::{Program, amount};
use tests::client::Client;
use tests::cluster::Cluster;
use tests::coredns::{CoreDns, ZONE};
use tests::dns::asking::{Asking, Expectation, Outcome};
use tests::dns::{Code, Data, Kind, Question, Record};
use tests::process::Server;
use tests::replicas;
use tests::requirement;
use tests::split::{self, Split};

/// What names without a lease are written with, and served with.
const TTL: u32 = 1;
/// In seconds, longer than [`LEASED`] by more than any test takes.
const LEASE: i64 = 100_000;
/// The longest time that the plugin, which asks for the lease, lets a leased name be kept.
const LEASED: u32 = 86_400;
/// The longest time without a right answer: the plugin gives up after five seconds. (With a real etcd whose leader is
/// killed: 1.7 s.)
const OUTAGE: Duration = Duration::from_secs(3);

/// Writes where a service is.
async fn place(client: &Client, name: &str, address: Ipv4Addr, port: u16) {
    put(client, name, format!("{{\"host\":\"{address}\",\"port\":{port},\"ttl\":{TTL}}}"), 0).await;
}

async fn put(client: &Client, name: &str, value: String, lease: i64) {
    let path = name.split_terminator('.').rev().collect::<Vec<_>>().join("/");
    let key = format!("/skydns/{path}").into();
    client.kv.clone().put(PutRequest { key, value: value.into(), lease, ..PutRequest::default() }).await.unwrap();
}

fn name(below: &str) -> String {
    format!("{below}.{ZONE}")
}

/// Writes names and says what is to be answered about them.
async fn names(client: &Client) -> Vec<Expectation> {
    let [web, one, two, leased] = [1, 2, 3, 4].map(|last| Ipv4Addr::new(10, 0, 0, last));
    place(client, &name("web"), web, 80).await;
    place(client, &name("one.db"), one, 5432).await;
    place(client, &name("two.db"), two, 5433).await;
    let lease = client.lease.clone().lease_grant(LeaseGrantRequest { ttl: LEASE, id: 0 }).await.unwrap().into_inner();
    put(client, &name("leased"), format!("{{\"host\":\"{leased}\"}}"), lease.id).await;
    let address = |below, address| record(below, Data::Address(address));
    let service =
        |below, weight, port, target| record(below, Data::Service { priority: 10, weight, port, target: name(target) });
    let expectation = |below, kind, records| {
        let question = Question { name: name(below), kind };
        Expectation { question, code: Code::Success, records }
    };
    let nobody = Question { name: name("nobody"), kind: Kind::Address };
    vec![
        expectation("web", Kind::Address, vec![address("web", web)]),
        expectation("web", Kind::Service, vec![service("web", 100, 80, "web")]),
        expectation("db", Kind::Address, vec![address("db", one), address("db", two)]),
        expectation("db", Kind::Service, vec![service("db", 50, 5432, "one.db"), service("db", 50, 5433, "two.db")]),
        expectation("leased", Kind::Address, vec![Record { ttl: LEASED, ..address("leased", leased) }]),
        Expectation { question: nobody, code: Code::NoSuchName, records: Vec::new() },
    ]
}

fn record(below: &str, data: Data) -> Record {
    Record { name: name(below), ttl: TTL, data }
}

/// Moves a service: once that is acknowledged, its old place is answered no more.
async fn moves(client: &Client, coredns: &CoreDns, time: u8) {
    let address = Ipv4Addr::new(10, 1, 0, time);
    place(client, &name("moving"), address, 80).await;
    let question = Question { name: name("moving"), kind: Kind::Address };
    let answer = coredns.ask(&question).await.unwrap();
    assert_eq!((answer.code, answer.records), (Code::Success, vec![record("moving", Data::Address(address))]));
}

fn judge(outcome: &Outcome) {
    eprintln!("{outcome:?}");
    assert_eq!((outcome.wrong, outcome.unanswered), (0, 0), "{outcome:?}");
    assert!(outcome.longest_without <= OUTAGE, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_served_through_killed_leaders() {
    if requirement::coredns().is_none() {
        return;
    }
    let mut cluster = Cluster::start(&[Program::MetaStore; 3], &[]).await.unwrap();
    let leader = cluster.leader().await.unwrap();
    let names = names(&cluster.client(leader).await.unwrap()).await;
    let members: Vec<_> = cluster.members.iter().map(Server::client).collect();
    let coredns = CoreDns::start(&members).await.unwrap();
    let mut asking = Asking::start(coredns.address, names);
    for round in 0..u8::try_from(amount(3, 20)).unwrap() {
        asking.goes_on().await;
        let leader = cluster.leader().await.unwrap();
        cluster.members[leader].kill();
        let next = cluster.leader().await.unwrap();
        let client = cluster.client(next).await.unwrap();
        moves(&client, &coredns, 2 * round).await;
        asking.goes_on().await;
        cluster.restart(leader).unwrap();
        moves(&client, &coredns, 2 * round + 1).await;
        assert_eq!(cluster.agree().await.unwrap(), 5);
    }
    judge(&asking.finish().await);
    replicas::are_equal(cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_storage_nodes_are_not_noticed_behind_gateways() {
    if requirement::coredns().is_none() {
        return;
    }
    let mut split = Split::start(&split::MIXED, 2, &[]).await.unwrap();
    let client = split.client(0).await;
    let names = names(&client).await;
    let gateways: Vec<_> = split.gateways.iter().map(Server::client).collect();
    let coredns = CoreDns::start(&gateways).await.unwrap();
    let mut asking = Asking::start(coredns.address, names);
    for round in 0..u8::try_from(amount(3, 20)).unwrap() {
        asking.goes_on().await;
        let leader = split.leader(0).await.unwrap();
        split.storenodes[leader].kill();
        moves(&client, &coredns, 2 * round).await;
        asking.goes_on().await;
        split.storenodes[leader].restart().await.unwrap();
        moves(&client, &coredns, 2 * round + 1).await;
    }
    let outcome = asking.finish().await;
    judge(&outcome);
    assert_eq!((outcome.failures, coredns.errors()), (0, Vec::new()));
    replicas::of_split_are_equal(split).await.unwrap();
}
