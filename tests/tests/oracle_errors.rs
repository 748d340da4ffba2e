//! Every error that KV and Lease can answer: code and text, from etcd and from the product.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use tests::binary::Program;
use tests::client::Client;
use tests::deployment::{Deployment, Form};
use tests::oracle::answer::Answer;
use tests::oracle::operation::Operation;
use tests::oracle::system::call;
use tests::requirement;
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound, OutOfRange, ResourceExhausted, Unimplemented};
use tonic::metadata::MetadataValue;

const EMPTY_KEY: &str = "etcdserver: key is not provided";
const KEY_NOT_FOUND: &str = "etcdserver: key not found";
const VALUE_PROVIDED: &str = "etcdserver: value is provided";
const LEASE_PROVIDED: &str = "etcdserver: lease is provided";
const TOO_MANY_OPS: &str = "etcdserver: too many operations in txn request";
const DUPLICATE_KEY: &str = "etcdserver: duplicate key given in txn request";
const INVALID_SORT: &str = "etcdserver: invalid sort option";
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
const LEASE_NOT_FOUND: &str = "etcdserver: requested lease not found";
const LEASE_EXISTS: &str = "etcdserver: lease already exists";
const TTL_TOO_LARGE: &str = "etcdserver: too large lease TTL";
const TOO_LARGE: &str = "etcdserver: request is too large";
const OVER_LIMIT: &str = "grpc: received message larger than max (2200015 vs. 2097152)";
const NO_SORT: &str = "RangeStream does not support custom sort orders";
const NO_FILTERS: &str = "RangeStream does not support revision filters";

/// The store holds `a` at revisions 2 to 11, compacted at 5, and lease 7.
async fn prepare(client: &Client) {
    for _ in 2..=11 {
        call(client, put(b"a", |_| {})).await.unwrap();
    }
    call(client, compact(5)).await.unwrap();
    call(client, grant(1000, 7)).await.unwrap();
}

fn put(key: &'static [u8], change: impl FnOnce(&mut PutRequest)) -> Operation {
    let mut request = PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() };
    change(&mut request);
    Operation::Put(request)
}

fn range_request(change: impl FnOnce(&mut RangeRequest)) -> RangeRequest {
    let mut request = RangeRequest { key: "a".into(), ..RangeRequest::default() };
    change(&mut request);
    request
}

fn range(change: impl FnOnce(&mut RangeRequest)) -> Operation {
    Operation::Range(range_request(change))
}

fn stream(change: impl FnOnce(&mut RangeRequest)) -> Operation {
    Operation::RangeStream(range_request(change))
}

fn delete(key: &'static [u8]) -> Operation {
    Operation::Delete(DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() })
}

const fn compact(revision: i64) -> Operation {
    Operation::Compact(CompactionRequest { revision, physical: false })
}

const fn grant(ttl: i64, id: i64) -> Operation {
    Operation::Grant(LeaseGrantRequest { ttl, id })
}

fn txn(success: Vec<Operation>) -> Operation {
    let request = |operation| match operation {
        Operation::Range(request) => Some(Request::RequestRange(request)),
        Operation::Put(request) => Some(Request::RequestPut(request)),
        Operation::Delete(request) => Some(Request::RequestDeleteRange(request)),
        Operation::Txn(request) => Some(Request::RequestTxn(request)),
        _ => None,
    };
    let success = success.into_iter().map(|operation| RequestOp { request: request(operation) }).collect();
    Operation::Txn(TxnRequest { success, ..TxnRequest::default() })
}

fn compare(count: usize, key: &'static [u8]) -> Operation {
    let compare = vec![Compare { key: key.into(), ..Compare::default() }; count];
    Operation::Txn(TxnRequest { compare, ..TxnRequest::default() })
}

fn big(bytes: usize) -> Bytes {
    vec![b'x'; bytes].into()
}

fn bad_requests() -> Vec<(Operation, Code, &'static str)> {
    let keyless = |request: &mut RangeRequest| request.key = Bytes::new();
    vec![
        (range(keyless), InvalidArgument, EMPTY_KEY),
        (stream(keyless), InvalidArgument, EMPTY_KEY),
        (put(b"", |_| {}), InvalidArgument, EMPTY_KEY),
        (delete(b""), InvalidArgument, EMPTY_KEY),
        (compare(1, b""), InvalidArgument, EMPTY_KEY),
        (txn(vec![put(b"", |_| {})]), InvalidArgument, EMPTY_KEY),
        (txn(vec![txn(vec![range(keyless)])]), InvalidArgument, EMPTY_KEY),
        (txn(vec![Operation::Leases]), InvalidArgument, KEY_NOT_FOUND),
        (put(b"a", |put| put.ignore_value = true), InvalidArgument, VALUE_PROVIDED),
        (put(b"a", |put| (put.ignore_lease, put.lease) = (true, 7)), InvalidArgument, LEASE_PROVIDED),
        (compare(129, b"a"), InvalidArgument, TOO_MANY_OPS),
        (txn((0..129).map(|_| range(|_| {})).collect()), InvalidArgument, TOO_MANY_OPS),
        (txn(vec![put(b"b", |_| {}), put(b"b", |_| {})]), InvalidArgument, DUPLICATE_KEY),
        (txn(vec![put(b"b", |_| {}), delete(b"b")]), InvalidArgument, DUPLICATE_KEY),
        (txn(vec![delete(b"b"), txn(vec![put(b"b", |_| {})])]), InvalidArgument, DUPLICATE_KEY),
        (range(|range| range.sort_order = 3), InvalidArgument, INVALID_SORT),
        (range(|range| range.sort_target = -1), InvalidArgument, INVALID_SORT),
        (txn(vec![range(|range| range.sort_target = 5)]), InvalidArgument, INVALID_SORT),
        (stream(|range| range.sort_order = 2), Unimplemented, NO_SORT),
        (stream(|range| range.min_mod_revision = 1), Unimplemented, NO_FILTERS),
        (put(b"a", |put| put.value = big(1_600_000)), InvalidArgument, TOO_LARGE),
        (put(b"a", |put| put.value = big(2_200_007)), ResourceExhausted, OVER_LIMIT),
        (grant(9_000_000_001, 0), OutOfRange, TTL_TOO_LARGE),
    ]
}

fn bad_moments() -> Vec<(Operation, Code, &'static str)> {
    vec![
        (put(b"new", |put| (put.ignore_value, put.value) = (true, Bytes::new())), InvalidArgument, KEY_NOT_FOUND),
        (put(b"new", |put| put.ignore_lease = true), InvalidArgument, KEY_NOT_FOUND),
        (range(|range| range.revision = 4), OutOfRange, COMPACTED),
        (stream(|range| range.revision = 4), OutOfRange, COMPACTED),
        (txn(vec![range(|range| range.revision = 4)]), OutOfRange, COMPACTED),
        (compact(5), OutOfRange, COMPACTED),
        (compact(0), OutOfRange, COMPACTED),
        (range(|range| range.revision = 12), OutOfRange, FUTURE),
        (stream(|range| range.revision = 12), OutOfRange, FUTURE),
        (txn(vec![put(b"b", |_| {}), range(|range| range.revision = 12)]), OutOfRange, FUTURE),
        (compact(12), OutOfRange, FUTURE),
        (put(b"a", |put| put.lease = 8), NotFound, LEASE_NOT_FOUND),
        (txn(vec![put(b"a", |put| put.lease = 8)]), NotFound, LEASE_NOT_FOUND),
        (Operation::Revoke(8), NotFound, LEASE_NOT_FOUND),
        (Operation::Revoke(0), NotFound, LEASE_NOT_FOUND),
        (grant(1000, 7), FailedPrecondition, LEASE_EXISTS),
    ]
}

async fn check(form: Form) {
    let server = Deployment::start(form, &[]).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    prepare(&client).await;
    for (operation, code, text) in bad_requests().into_iter().chain(bad_moments()) {
        let shown: String = format!("{operation:?}").chars().take(300).collect();
        let answer = call(&client, operation).await.unwrap_or_else(Answer::from);
        let expected = Answer::Failed { code, message: text.to_owned(), details: 0 };
        assert_eq!(answer, expected, "{form:?}: {shown}");
    }
    // None of them changed anything, and the connection still works.
    let Ok(Answer::Range(range)) = call(&client, range(|_| {})).await else { panic!("the range failed") };
    assert_eq!(range.header.unwrap().revision, 11);

    let mut request = tonic::Request::new(range_request(|_| {}));
    let not_text = MetadataValue::try_from(b"\xff".as_slice()).unwrap();
    request.metadata_mut().insert("client-api-version", not_text);
    let status = client.kv.clone().range(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (InvalidArgument, "etcdserver: invalid client api version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_has_the_errors_of_the_contract() {
    check(Form::of_this_run()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_has_the_errors_of_the_contract() {
    if requirement::etcd().is_some() {
        check(Form::Alone(Program::Etcd)).await;
    }
}
