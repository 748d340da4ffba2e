//! Generated sequences of KV, Watch and Lease operations give the same answers as a real etcd.
#![allow(clippy::unwrap_used)]

use futures_util::StreamExt as _;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use tests::binary::{Program, amount, etcd_stands_in};
use tests::client::Client;
use tests::deployment::{Deployment, Form};
use tests::oracle::crowd;
use tests::oracle::generator::{Generator, KeySpace};
use tests::oracle::operation::Operation;
use tests::oracle::shrink;
use tests::oracle::system::call;
use tests::process::Server;
use tests::requirement;
use tonic::Code;

/// The operations of one pair of fresh servers: short enough to be shortened further, long enough for history.
const PER_SEED: usize = 2_500;
const FIRST_SEED: u64 = 1;
/// More than 100,000 operations for every form.
const SEEDS: usize = 42;
/// Mostly a comparison waits for answers, or for etcd to bring its watches up to date.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn generated_operations_have_etcds_answers() {
    if requirement::etcd().is_none() {
        return;
    }
    agree(Form::Alone(Program::MetaStore), amount(2, SEEDS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_have_etcds_answers() {
    if requirement::etcd().is_none() || etcd_stands_in() {
        return;
    }
    agree(Form::Members, amount(1, SEEDS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_before_storage_nodes_have_etcds_answers() {
    if requirement::etcd().is_none() || etcd_stands_in() {
        return;
    }
    agree(Form::Split, amount(1, SEEDS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_operations_have_etcds_answers_on_disk() {
    if requirement::etcd().is_none() || etcd_stands_in() {
        return;
    }
    agree(Form::Alone(Program::MetaStoreOnDisk), amount(1, SEEDS)).await;
}

/// Runs so many seeds.
async fn agree(form: Form, seeds: usize) {
    let runs = (FIRST_SEED..).take(seeds).map(|seed| tokio::spawn(run(form, seed)));
    let mut ended = futures_util::stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some(result) = ended.next().await {
        if let Err(report) = result.unwrap() {
            panic!("{report}");
        }
    }
}

async fn run(form: Form, seed: u64) -> Result<(), String> {
    let mut generator = Generator::new(seed, KeySpace::whole());
    let mut operations: Vec<Operation> = (0..PER_SEED).map(|_| generator.operation()).collect();
    operations.extend(Generator::inspection());
    let result = shrink::check(form, None, &operations).await;
    result.map_err(|report| format!("{form:?}, seed {seed}: {report}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_are_told_the_same_by_both() {
    if requirement::etcd().is_none() {
        return;
    }
    crowds_agree(Form::Alone(Program::MetaStore), amount(100, 2_000)).await;
    if !etcd_stands_in() {
        for form in [Form::Alone(Program::MetaStoreOnDisk), Form::Members, Form::Split] {
            crowds_agree(form, amount(50, 500)).await;
        }
    }
}

async fn crowds_agree(form: Form, length: usize) {
    for clients in [2, 16] {
        let etcd = Server::start(Program::Etcd, &["--unsafe-no-fsync"]).await.unwrap();
        let product = Deployment::start(form, &[]).await.unwrap();
        let seed = clients as u64;
        let left = crowd::run(etcd.client(), seed, clients, length).await.unwrap();
        let right = crowd::run(product.client(), seed, clients, length).await.unwrap();
        assert_eq!(left.len(), clients);
        assert_eq!(crowd::difference(&left, &right), None);
        // A comparison of other sequences differs: the answers are really looked at.
        if clients == 2 {
            let other = crowd::run(product.client(), seed + 100, clients, length).await.unwrap();
            assert!(crowd::difference(&left, &other).is_some());
        }
    }
}

/// etcd itself loses keys here, so the judge is the contract: the messages of a stream, merged, are the range.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_sort_target_and_no_order_is_the_range() {
    if etcd_stands_in() {
        return;
    }
    let server = Server::start(Program::MetaStore, &[]).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    for key in ["b", "a", "c"] {
        call(&client, Operation::Put(PutRequest { key: key.into(), ..PutRequest::default() })).await.unwrap();
    }
    for limit in 0..4 {
        let (key, range_end) = ("a".into(), "z".into());
        let range = RangeRequest { key, range_end, limit, sort_target: 2, ..RangeRequest::default() };
        let whole = call(&client, Operation::Range(range.clone())).await.unwrap();
        // A server may also refuse to sort a stream.
        match call(&client, Operation::RangeStream(range)).await {
            Ok(streamed) => assert_eq!(streamed, whole, "limit {limit}"),
            Err(status) => assert_eq!(status.code(), Code::Unimplemented, "{status:?}"),
        }
    }
}
