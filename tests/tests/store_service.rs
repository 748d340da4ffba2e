//! A gateway and a storage node with a network between them: everything a gateway asks, and a watch over a lost link.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::poll_fn;
use gateway::router::{Introduction, Nodes, Router};
use gateway::watch::{Create, Hub, Output, StreamRequest};
use internal_proto::{
    ClusterId, Compare, CompareOperator, CompareTarget, Error, KeyRange, LeaseGrantRequest, LeaseId,
    LeaseTimeToLiveRequest, Member, MemberId, PutLease, PutRequest, PutValue, RangeRequest, Request, Response, Store,
    TxnOperation, TxnRequest,
};
use storenode::config::{Config, Engine};
use storenode::{Admission, NoPeers, Node, Surroundings, Tuning, server, service};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const MEMBER: MemberId = MemberId(0xa);
const CLUSTER: ClusterId = ClusterId(0xc);
const TOKEN: &str = "secret";
const PATIENCE: Duration = Duration::from_secs(30);

fn node(data_dir: &Path) -> Arc<Node> {
    std::fs::create_dir_all(data_dir).unwrap();
    let config = Config {
        data_dir: data_dir.to_owned(),
        cluster_id: CLUSTER,
        member_id: MEMBER,
        name: "node".to_owned(),
        client_urls: Vec::new(),
        members: vec![Member { id: MEMBER, name: "node".to_owned(), ..Member::default() }],
        joins: false,
        engine: Engine::Memory,
        quota_bytes: 0,
        heartbeat_interval: Duration::from_millis(100),
        election_timeout: Duration::from_secs(1),
        pre_vote: true,
    };
    let surroundings = Surroundings {
        files: Arc::new(storenode::files::Disk),
        transport: Arc::new(NoPeers),
        clock: Arc::new(Instant::now),
    };
    let tuning = Tuning { segment_bytes: 1 << 20, ..Tuning::default() };
    Arc::new(Node::start(&config, surroundings, &prometheus::Registry::new(), tuning).unwrap())
}

/// Serves a node; where it is served, and the server, which can be ended.
async fn serve(node: &Arc<Node>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = server::Routes::new(service::service(Arc::clone(node) as Arc<dyn Store>));
    let admission = Arc::new(Admission::new(CLUSTER, TOKEN));
    let server = tokio::spawn(async move {
        server::serve(vec![listener], admission, routes, std::future::pending()).await.unwrap();
    });
    (url, server)
}

struct Remote {
    node: Arc<Node>,
    nodes: Arc<Nodes>,
    router: Router,
    server: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn remote(token: &str) -> Remote {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir.path().join("store"));
    let (url, server) = serve(&node).await;
    let nodes = Arc::new(Nodes::new(None, Introduction::new(Some(CLUSTER), token)));
    nodes.update(&[(MEMBER, url)]);
    let router = Router::new(Arc::clone(&nodes), PATIENCE);
    Remote { node, nodes, router, server, _dir: dir }
}

impl Remote {
    async fn ask(&self, request: Request) -> Result<Response, Error> {
        let answer = tokio::time::timeout(PATIENCE, self.router.route(request)).await.expect("an answer in time");
        answer.map(|answer| {
            assert_eq!(answer.stamp.member, MEMBER);
            answer.response
        })
    }

    async fn stop(self) {
        self.server.abort();
        tokio::task::spawn_blocking(move || self.node.stop()).await.unwrap();
    }
}

fn put(key: &str, value: Vec<u8>, lease: i64) -> Request {
    Request::Put(PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: PutValue::Set(value.into()),
        lease: PutLease::Set(LeaseId(lease)),
        prev_kv: false,
    })
}

fn range(key: &'static str, end: &'static str) -> RangeRequest {
    let range = KeyRange::from_wire(Bytes::from_static(key.as_bytes()), Bytes::from_static(end.as_bytes()));
    RangeRequest { range, ..RangeRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_gateway_asks_is_answered_over_the_network() {
    let remote = remote(TOKEN).await;
    let grant = Request::LeaseGrant(LeaseGrantRequest { id: LeaseId(7), ttl: 60 });
    assert!(matches!(remote.ask(grant).await, Ok(Response::LeaseGrant(grant)) if grant.id == LeaseId(7)));
    assert!(matches!(remote.ask(put("a", b"1".to_vec(), 7)).await, Ok(Response::Put(_))));
    assert_eq!(remote.ask(put("a", b"2".to_vec(), 99)).await, Err(Error::LeaseNotFound));

    let Ok(Response::Range(one)) = remote.ask(Request::Range(range("a", ""))).await else { panic!("no range") };
    assert_eq!((one.kvs[0].fields().value, one.kvs[0].fields().lease), (&b"1"[..], LeaseId(7)));

    let compare = Compare {
        range: range("a", "").range,
        operator: CompareOperator::Equal,
        target: CompareTarget::Value(Bytes::from_static(b"1")),
    };
    let success = vec![TxnOperation::Range(range("a", ""))];
    let txn = TxnRequest { compare: vec![compare], success, failure: Vec::new() };
    assert!(matches!(remote.ask(Request::Txn(txn)).await, Ok(Response::Txn(txn)) if txn.succeeded));

    assert_eq!(remote.ask(Request::LeaseKeepAlive(LeaseId(7))).await, Ok(Response::LeaseKeepAlive { ttl: 60 }));
    let keys = Request::LeaseTimeToLive(LeaseTimeToLiveRequest { id: LeaseId(7), keys: true });
    assert!(matches!(remote.ask(keys).await, Ok(Response::LeaseTimeToLive(lease)) if lease.keys == ["a"]));
    assert_eq!(remote.ask(Request::LeaseLeases).await, Ok(Response::LeaseLeases(vec![LeaseId(7)])));
    assert_eq!(remote.ask(Request::LeaseRevoke(LeaseId(7))).await, Ok(Response::LeaseRevoke));
    let Ok(Response::Status(status)) = remote.ask(Request::Status).await else { panic!("no status") };
    assert_eq!(status.leader, Some(MEMBER));
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_many_megabytes_passes_beside_small_calls() {
    let remote = remote(TOKEN).await;
    for number in 0..40 {
        remote.ask(put(&format!("k{number:02}"), vec![number; 500_000], 0)).await.unwrap();
    }
    let reads = futures_util::future::join_all((0..4).map(|_| remote.ask(Request::Range(range("k", "l")))));
    let (reads, small) = tokio::join!(reads, remote.ask(Request::Range(range("k07", ""))));
    assert!(matches!(small, Ok(Response::Range(small)) if small.kvs.len() == 1));
    for read in reads {
        let Ok(Response::Range(all)) = read else { panic!("no range") };
        assert_eq!(all.kvs.iter().map(|kv| kv.fields().value.len()).sum::<usize>(), 20_000_000);
    }
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_over_the_next_link_without_a_gap() {
    let mut remote = remote(TOKEN).await;
    let hub = Hub::new(Arc::clone(&remote.nodes), Arc::clone(remote.router.floor()));
    let (stream, requests) = hub.open();
    let watched = range("w", "x").range;
    requests.push(StreamRequest::Create(Create { range: watched, ..Create::default() }));
    let next = async || {
        tokio::time::timeout(PATIENCE, poll_fn(|context| stream.poll_next(context))).await.expect("an output in time")
    };
    assert!(matches!(next().await, Some(Output::Created { .. })));
    let mut revisions = Vec::new();
    for number in 0..6 {
        remote.ask(put(&format!("w{number}"), b"v".to_vec(), 0)).await.unwrap();
        if number % 2 == 1 {
            // The link dies, and the node is found elsewhere.
            remote.server.abort();
            let (url, server) = serve(&remote.node).await;
            remote.server = server;
            remote.nodes.update(&[(MEMBER, url)]);
        }
        let Some(Output::Events { revision, .. }) = next().await else { panic!("no events") };
        revisions.push(revision.0);
    }
    assert_eq!(revisions, [2, 3, 4, 5, 6, 7]);
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_the_token_is_not_served() {
    let remote = remote("guess").await;
    let asked = remote.router.route(Request::Range(range("a", "")));
    assert!(tokio::time::timeout(Duration::from_millis(500), asked).await.is_err());
    remote.stop().await;
}
