//! Everything survives the wire; what is no message is refused.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use prost::Message;

use super::error::PLAIN;
use super::*;
use crate::generated::metastore::store as wire;
use crate::*;

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn key_range() -> impl Strategy<Value = KeyRange> {
    (bytes(), bytes()).prop_map(|(key, end)| KeyRange::from_wire(key, end))
}

fn revision() -> impl Strategy<Value = Revision> {
    any::<i64>().prop_map(Revision)
}

fn kv() -> impl Strategy<Value = KeyValue> {
    (bytes(), bytes(), any::<i64>(), any::<i64>(), any::<i64>()).prop_map(|(key, value, created, modified, lease)| {
        KeyValue::new(&KeyValueFields {
            key: &key,
            create_revision: Revision(created),
            mod_revision: Revision(modified),
            version: 3,
            value: &value,
            lease: LeaseId(lease),
        })
    })
}

fn kvs() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec(kv(), 0..4)
}

fn event() -> impl Strategy<Value = Event> {
    (any::<bool>(), kv(), prop::option::of(kv())).prop_map(|(delete, kv, prev_kv)| {
        let kind = if delete { EventKind::Delete } else { EventKind::Put };
        Event { kind, kv, prev_kv }
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..4)
}

fn range_request() -> impl Strategy<Value = RangeRequest> {
    (key_range(), any::<u64>(), prop::option::of(revision()), any::<[bool; 3]>(), prop::option::of(revision()))
        .prop_map(|(range, limit, revision, [serializable, keys_only, count_only], bound)| RangeRequest {
            range,
            limit,
            revision,
            sort: keys_only.then_some(Sort { target: SortTarget::Value, order: SortOrder::Descend }),
            serializable,
            keys_only,
            count_only,
            filter: RevisionFilter { min_mod: bound, max_create: bound, ..RevisionFilter::default() },
        })
}

fn put_request() -> impl Strategy<Value = PutRequest> {
    (bytes(), prop::option::of(bytes()), prop::option::of(any::<i64>()), any::<bool>()).prop_map(
        |(key, value, lease, prev_kv)| PutRequest {
            key,
            value: value.map_or(PutValue::Keep, PutValue::Set),
            lease: lease.map_or(PutLease::Keep, |id| PutLease::Set(LeaseId(id))),
            prev_kv,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let delete = |(range, prev_kv)| Request::DeleteRange(DeleteRangeRequest { range, prev_kv });
    let txn = |(reads, put)| TxnRequest {
        compare: Vec::new(),
        success: vec![TxnOperation::Range(reads)],
        failure: vec![TxnOperation::Put(put)],
    };
    let lease = any::<i64>().prop_map(LeaseId);
    prop_oneof![
        range_request().prop_map(Request::Range),
        put_request().prop_map(Request::Put),
        (key_range(), any::<bool>()).prop_map(delete),
        (range_request(), put_request()).prop_map(txn).prop_map(Request::Txn),
        (revision(), any::<bool>())
            .prop_map(|(revision, physical)| Request::Compact(CompactRequest { revision, physical })),
        (lease.clone(), any::<i64>()).prop_map(|(id, ttl)| Request::LeaseGrant(LeaseGrantRequest { id, ttl })),
        lease.clone().prop_map(Request::LeaseRevoke),
        lease.clone().prop_map(Request::LeaseKeepAlive),
        (lease, any::<bool>()).prop_map(|(id, keys)| Request::LeaseTimeToLive(LeaseTimeToLiveRequest { id, keys })),
        Just(Request::LeaseLeases),
        Just(Request::Status),
        any::<bool>().prop_map(|serializable| Request::MemberList { serializable }),
    ]
}

fn range_response() -> impl Strategy<Value = RangeResponse> {
    (revision(), kvs(), any::<bool>(), any::<u64>()).prop_map(|(revision, kvs, more, count)| RangeResponse {
        revision,
        kvs,
        more,
        count,
    })
}

fn put_response() -> impl Strategy<Value = PutResponse> {
    (revision(), prop::option::of(kv())).prop_map(|(revision, prev_kv)| PutResponse { revision, prev_kv })
}

fn delete_response() -> impl Strategy<Value = DeleteRangeResponse> {
    (revision(), any::<u64>(), kvs()).prop_map(|(revision, deleted, prev_kvs)| DeleteRangeResponse {
        revision,
        deleted,
        prev_kvs,
    })
}

fn txn_response() -> impl Strategy<Value = TxnResponse> {
    (revision(), any::<bool>(), range_response(), put_response(), delete_response()).prop_map(
        |(revision, succeeded, range, put, delete)| {
            let inner = TxnResponse { revision, succeeded, responses: vec![TxnOperationResponse::Put(put)] };
            let responses = vec![
                TxnOperationResponse::Range(range),
                TxnOperationResponse::DeleteRange(delete),
                TxnOperationResponse::Txn(inner),
            ];
            TxnResponse { revision, succeeded, responses }
        },
    )
}

fn member() -> impl Strategy<Value = Member> {
    (any::<u64>(), ".{0,8}", any::<bool>()).prop_map(|(id, name, learner)| Member {
        id: MemberId(id),
        client_urls: vec![name.clone()],
        name,
        learner,
        ..Member::default()
    })
}

fn response() -> impl Strategy<Value = Response> {
    let lease = any::<i64>().prop_map(LeaseId);
    let time_to_live = |(id, ttl, keys)| LeaseTimeToLiveResponse { id, ttl, granted_ttl: ttl, keys };
    let status = |(db_size, leader, learner, error): (u64, Option<u64>, bool, String)| StatusResponse {
        db_size,
        leader: leader.map(MemberId),
        applied: LogIndex(db_size),
        learner,
        errors: vec![error],
        ..StatusResponse::default()
    };
    prop_oneof![
        range_response().prop_map(Response::Range),
        put_response().prop_map(Response::Put),
        delete_response().prop_map(Response::DeleteRange),
        txn_response().prop_map(Response::Txn),
        Just(Response::Compact),
        (lease.clone(), any::<i64>()).prop_map(|(id, ttl)| Response::LeaseGrant(LeaseGrantResponse { id, ttl })),
        Just(Response::LeaseRevoke),
        any::<i64>().prop_map(|ttl| Response::LeaseKeepAlive { ttl }),
        (lease.clone(), any::<i64>(), prop::collection::vec(bytes(), 0..3))
            .prop_map(time_to_live)
            .prop_map(Response::LeaseTimeToLive),
        prop::collection::vec(lease, 0..4).prop_map(Response::LeaseLeases),
        (any::<u64>(), any::<Option<u64>>(), any::<bool>(), ".{0,9}").prop_map(status).prop_map(Response::Status),
        prop::collection::vec(member(), 0..3).prop_map(Response::MemberList),
        any::<u64>().prop_map(|id| Response::SessionOpened(SessionId(id))),
        Just(Response::Done),
    ]
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (any::<u64>(), revision(), any::<u64>(), any::<u64>()).prop_map(|(member, revision, term, auth)| Stamp {
        member: MemberId(member),
        revision,
        term: Term(term),
        auth: AuthRevision(auth),
    })
}

fn error() -> impl Strategy<Value = Error> {
    prop_oneof![
        prop::sample::select(PLAIN),
        any::<Option<u64>>().prop_map(|hint| Error::NotLeader { hint: hint.map(MemberId) }),
    ]
}

fn batch() -> impl Strategy<Value = WatchBatch> {
    let feeds = || prop::collection::vec((any::<u64>().prop_map(FeedId), revision()), 0..3);
    let parts = prop::collection::vec((any::<u64>(), revision(), events(), any::<bool>()), 0..3);
    let page = (any::<u64>(), prop::option::of(prop::collection::vec((revision(), events()), 0..3)), revision());
    (stamp(), any::<Option<u64>>(), feeds(), feeds(), parts, page).prop_map(
        |(stamp, now, started, behind, parts, (page, revisions, through))| WatchBatch {
            stamp,
            compacted_to: through,
            now: now.map(NowId),
            started,
            events: parts
                .into_iter()
                .map(|(feed, revision, events, last)| FeedEvents { feed: FeedId(feed), revision, events, last })
                .collect(),
            compacted: behind.clone(),
            through,
            behind,
            pages: vec![WatchPage {
                page: PageId(page),
                content: revisions
                    .map_or(PageContent::Compacted(through), |revisions| PageContent::Events { revisions, through }),
            }],
        },
    )
}

fn outcome_again(outcome: &Result<Told, Error>) -> Result<Told, Error> {
    let mut joiner = Joiner::default();
    let mut done = None;
    for answered in told_parts(7, outcome) {
        assert!(done.is_none(), "nothing comes after the last part");
        let answered = wire::Answered::decode(&answered.encode_to_vec()[..]).unwrap();
        assert!(answered.encoded_len() <= MAX_PART_BYTES + 32);
        done = joiner.take(answered).unwrap();
    }
    let (call, outcome) = done.unwrap();
    assert_eq!(call, 7);
    outcome
}

proptest! {
    #[test]
    fn a_request_survives_the_wire(request in request()) {
        let sent = wire::Request::from(&request).encode_to_vec();
        prop_assert_eq!(Request::try_from(wire::Request::decode(&sent[..]).unwrap()).unwrap(), request);
    }

    #[test]
    fn an_outcome_survives_the_wire(response in response(), stamp in stamp(), error in error(), index: u64) {
        let answer = Ok(Told::Answer(Answer { response, stamp }));
        prop_assert_eq!(outcome_again(&answer), answer);
        let barrier = Ok(Told::Barrier(Barrier { index: LogIndex(index), term: Term(3) }));
        prop_assert_eq!(outcome_again(&barrier), barrier);
        prop_assert_eq!(outcome_again(&Err(error)), Err(error));
    }

    #[test]
    fn a_batch_survives_the_wire(batch in batch()) {
        let mut joined = BytesMut::new();
        let frames = batch_frames(&batch);
        prop_assert_eq!(frames.len(), 1);
        let sent = wire::BatchFrame::decode(&frames[0].encode_to_vec()[..]).unwrap();
        prop_assert_eq!(join_batch(&mut joined, sent).unwrap(), Some(batch));
    }

    #[test]
    fn a_watch_command_survives_the_wire(range in key_range(), id: u64, next in prop::option::of(revision())) {
        let (prev_kv, revision) = (id % 2 == 0, next.unwrap_or_default());
        for command in [
            WatchCommand::Subscribe { feed: FeedId(id), range: range.clone(), prev_kv, next },
            WatchCommand::Unsubscribe(FeedId(id)),
            WatchCommand::Read { page: PageId(id), range, prev_kv, next: revision },
            WatchCommand::Now(NowId(id)),
        ] {
            let sent = wire::WatchCommand::from(&command).encode_to_vec();
            let received = wire::WatchCommand::decode(&sent[..]).unwrap();
            prop_assert_eq!(WatchCommand::try_from(received).unwrap(), command);
        }
    }

    #[test]
    fn garbage_is_refused_or_understood_but_never_panics(bytes: Vec<u8>) {
        if let Ok(frame) = wire::CallFrame::decode(&bytes[..]) {
            for call in frame.calls {
                let _ = call.ask();
            }
        }
        if let Ok(frame) = wire::BatchFrame::decode(&bytes[..]) {
            let _ = join_batch(&mut BytesMut::new(), frame);
        }
        if let Ok(answered) = wire::Answered::decode(&bytes[..]) {
            let _ = Joiner::default().take(answered);
        }
    }
}

#[test]
fn a_long_answer_comes_in_parts() {
    let value = vec![7; 100_000];
    let kv = |key: u8| KeyValue::new(&KeyValueFields { key: &[key], value: &value, ..KeyValueFields::default() });
    let range = RangeResponse { kvs: (0..30).map(kv).collect(), ..RangeResponse::default() };
    let answer = Ok(Told::Answer(Answer { response: Response::Range(range), stamp: Stamp::default() }));
    assert_eq!(told_parts(7, &answer).len(), 6);
    assert_eq!(outcome_again(&answer), answer);
}

#[test]
fn a_write_is_no_query() {
    let ask = Ask::Query(Request::LeaseRevoke(LeaseId(1)), Freshness::default());
    let refusal = Call::new(1, &ask).ask().unwrap_err();
    assert_eq!(refusal, Malformed("LeaseRevoke is no query".into()));
}

#[test]
fn an_error_of_a_newer_node_leaves_the_outcome_open() {
    let newer = wire::Error { number: 9999, hint: None };
    assert_eq!(Error::from(newer), Error::TimeoutConnectionLost);
}
