//! Every command survives the log; what is no entry is refused.

#![allow(clippy::unwrap_used)]

use super::*;

fn range(key: &'static str, end: &'static str) -> KeyRange {
    KeyRange::from_wire(Bytes::from_static(key.as_bytes()), Bytes::from_static(end.as_bytes()))
}

fn put(value: PutValue, lease: PutLease) -> PutRequest {
    PutRequest { key: Bytes::from_static(b"key"), value, lease, prev_kv: true }
}

fn compare(operator: CompareOperator, target: CompareTarget) -> Compare {
    Compare { range: range("a", "b"), operator, target }
}

fn nested_txn() -> TxnRequest {
    let read = RangeRequest {
        range: range("a", "\0"),
        limit: 7,
        revision: Some(Revision(3)),
        sort: Some(Sort { target: SortTarget::Mod, order: SortOrder::Descend }),
        keys_only: true,
        filter: RevisionFilter { max_create: Some(Revision(9)), ..RevisionFilter::default() },
        ..RangeRequest::default()
    };
    let inner = TxnRequest {
        compare: vec![
            compare(CompareOperator::Unknown, CompareTarget::Unknown),
            compare(CompareOperator::Less, CompareTarget::Value(Bytes::new())),
            compare(CompareOperator::NotEqual, CompareTarget::Lease(LeaseId(i64::MIN))),
        ],
        success: vec![TxnOperation::Range(read)],
        failure: vec![TxnOperation::Put(put(PutValue::Keep, PutLease::Keep))],
    };
    TxnRequest {
        compare: vec![compare(CompareOperator::Greater, CompareTarget::Create(Revision(1)))],
        success: vec![
            TxnOperation::Txn(inner),
            TxnOperation::DeleteRange(DeleteRangeRequest { range: range("x", ""), prev_kv: true }),
        ],
        failure: Vec::new(),
    }
}

#[test]
fn every_command_survives_the_log() {
    let operations = vec![
        Operation::Put(put(PutValue::Set(Bytes::new()), PutLease::Set(LeaseId(-1)))),
        Operation::DeleteRange(DeleteRangeRequest { range: range("a", "c"), prev_kv: false }),
        Operation::Txn(nested_txn()),
        Operation::Compact(CompactRequest { revision: Revision(5), physical: true }),
        Operation::LeaseGrant(LeaseGrantRequest { id: LeaseId(i64::MIN), ttl: 60 }),
        Operation::LeaseRevoke(LeaseId(i64::MIN)),
        Operation::LeaseCheckpoint(vec![LeaseCheckpoint { id: LeaseId(4), remaining_ttl: 2 }]),
        Operation::OpenSession,
        Operation::CloseSession(SessionId(12)),
        Operation::PublishMember(Member { id: MemberId(u64::MAX), name: "n".into(), ..Member::default() }),
    ];
    let origin = Some(Origin { session: SessionId(1), sequence: 2, floor: 1 });
    let commands =
        operations.into_iter().map(|operation| Command { origin, auth: AuthRevision(3), operation }).collect();
    let entry = Entry { commands };
    assert_eq!(Entry::decode(entry.encode().into()).unwrap(), entry);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let newer = disk::Entry { format: Entry::FORMAT + 1, commands: Vec::new() }.encode_to_vec();
    let refusal = Entry::decode(newer.into()).unwrap_err();
    assert_eq!(refusal, EntryError::NewerFormat { found: 2, known: 1 });
}

#[test]
fn bytes_that_are_no_entry_are_refused() {
    assert!(matches!(Entry::decode(Bytes::from_static(b"\xff\xff")), Err(EntryError::Malformed(_))));
    let empty = disk::Entry { format: 1, commands: vec![disk::Command::default()] }.encode_to_vec();
    assert!(matches!(Entry::decode(empty.into()), Err(EntryError::Malformed(_))));
}
