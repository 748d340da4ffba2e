//! Between commands and their form on disk, `proto/command.proto`.
//!
//! Invariant: decoding what was encoded gives the same commands; a newer format is refused by name.

use bytes::Bytes;
use prost::Message;

use crate::command::{Command, Entry, EntryError, LeaseCheckpoint, Operation, Origin};
use crate::{
    AuthRevision, CompactRequest, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange,
    LeaseGrantRequest, LeaseId, Member, MemberId, PutLease, PutRequest, PutValue, RangeEnd, RangeRequest, Revision,
    RevisionFilter, SessionId, Sort, SortOrder, SortTarget, TxnOperation, TxnRequest,
};

use crate::generated::metastore::command as disk;
use disk::command::Operation as DiskOperation;
use disk::compare::Target as DiskTarget;
use disk::txn_operation::Operation as DiskTxnOperation;

/// A field without which the bytes mean nothing.
fn required<T>(value: Option<T>, what: &'static str) -> Result<T, EntryError> {
    value.ok_or_else(|| EntryError::Malformed(format!("{what} is missing")))
}

impl Entry {
    /// The newest format of an entry that this program writes and applies.
    pub const FORMAT: u32 = 1;

    /// The entry's bytes for the log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let commands = self.commands.iter().map(disk::Command::from).collect();
        disk::Entry { format: Self::FORMAT, commands }.encode_to_vec()
    }

    /// Reads an entry's bytes back.
    ///
    /// # Errors
    /// [`EntryError`] when a newer program wrote them or they are no entry.
    pub fn decode(bytes: Bytes) -> Result<Self, EntryError> {
        let entry = disk::Entry::decode(bytes).map_err(|error| EntryError::Malformed(error.to_string()))?;
        if entry.format > Self::FORMAT {
            return Err(EntryError::NewerFormat { found: entry.format, known: Self::FORMAT });
        }
        let commands = entry.commands.into_iter().map(Command::try_from).collect::<Result<_, _>>()?;
        Ok(Self { commands })
    }
}

impl From<&Command> for disk::Command {
    fn from(command: &Command) -> Self {
        let operation = match &command.operation {
            Operation::Put(put) => DiskOperation::Put(put.into()),
            Operation::DeleteRange(delete) => DiskOperation::DeleteRange(delete.into()),
            Operation::Txn(txn) => DiskOperation::Txn(txn.into()),
            Operation::Compact(compact) => {
                DiskOperation::Compact(disk::Compact { revision: compact.revision.0, physical: compact.physical })
            }
            Operation::LeaseGrant(grant) => {
                DiskOperation::LeaseGrant(disk::LeaseGrant { id: grant.id.0, ttl: grant.ttl })
            }
            Operation::LeaseRevoke(id) => DiskOperation::LeaseRevoke(id.0),
            Operation::LeaseCheckpoint(checkpoints) => DiskOperation::LeaseCheckpoint(checkpoints.as_slice().into()),
            Operation::OpenSession => DiskOperation::OpenSession(disk::Nothing {}),
            Operation::CloseSession(id) => DiskOperation::CloseSession(id.0),
            Operation::PublishMember(member) => DiskOperation::PublishMember(member.into()),
        };
        let origin = command.origin.map(|origin| disk::Origin {
            session: origin.session.0,
            sequence: origin.sequence,
            floor: origin.floor,
        });
        Self { origin, auth: command.auth.0, operation: Some(operation) }
    }
}

impl TryFrom<disk::Command> for Command {
    type Error = EntryError;

    fn try_from(command: disk::Command) -> Result<Self, EntryError> {
        let operation = match required(command.operation, "a command's operation")? {
            DiskOperation::Put(put) => Operation::Put(put.into()),
            DiskOperation::DeleteRange(delete) => Operation::DeleteRange(delete.try_into()?),
            DiskOperation::Txn(txn) => Operation::Txn(txn.try_into()?),
            DiskOperation::Compact(compact) => {
                Operation::Compact(CompactRequest { revision: Revision(compact.revision), physical: compact.physical })
            }
            DiskOperation::LeaseGrant(grant) => {
                Operation::LeaseGrant(LeaseGrantRequest { id: LeaseId(grant.id), ttl: grant.ttl })
            }
            DiskOperation::LeaseRevoke(id) => Operation::LeaseRevoke(LeaseId(id)),
            DiskOperation::LeaseCheckpoint(checkpoints) => Operation::LeaseCheckpoint(checkpoints.into()),
            DiskOperation::OpenSession(_) => Operation::OpenSession,
            DiskOperation::CloseSession(id) => Operation::CloseSession(SessionId(id)),
            DiskOperation::PublishMember(member) => Operation::PublishMember(member.into()),
        };
        let origin = command.origin.map(|origin| Origin {
            session: SessionId(origin.session),
            sequence: origin.sequence,
            floor: origin.floor,
        });
        Ok(Self { origin, auth: AuthRevision(command.auth), operation })
    }
}

impl From<&KeyRange> for disk::KeyRange {
    fn from(range: &KeyRange) -> Self {
        let (end, before) = match &range.end {
            RangeEnd::Single => (disk::RangeEnd::Single, Bytes::new()),
            RangeEnd::Before(before) => (disk::RangeEnd::Before, before.clone()),
            RangeEnd::Unbounded => (disk::RangeEnd::Unbounded, Bytes::new()),
        };
        Self { start: range.start.clone(), end: end.into(), before }
    }
}

pub(crate) fn key_range(range: Option<disk::KeyRange>) -> Result<KeyRange, EntryError> {
    let range = required(range, "a key range")?;
    let end = match range.end() {
        disk::RangeEnd::Single => RangeEnd::Single,
        disk::RangeEnd::Before => RangeEnd::Before(range.before),
        disk::RangeEnd::Unbounded => RangeEnd::Unbounded,
    };
    Ok(KeyRange { start: range.start, end })
}

impl From<&PutRequest> for disk::Put {
    fn from(put: &PutRequest) -> Self {
        let value = match &put.value {
            PutValue::Set(value) => Some(value.clone()),
            PutValue::Keep => None,
        };
        let lease = match put.lease {
            PutLease::Set(lease) => Some(lease.0),
            PutLease::Keep => None,
        };
        Self { key: put.key.clone(), value, lease, prev_kv: put.prev_kv }
    }
}

impl From<disk::Put> for PutRequest {
    fn from(put: disk::Put) -> Self {
        Self {
            key: put.key,
            value: put.value.map_or(PutValue::Keep, PutValue::Set),
            lease: put.lease.map_or(PutLease::Keep, |lease| PutLease::Set(LeaseId(lease))),
            prev_kv: put.prev_kv,
        }
    }
}

impl From<&DeleteRangeRequest> for disk::DeleteRange {
    fn from(delete: &DeleteRangeRequest) -> Self {
        Self { range: Some((&delete.range).into()), prev_kv: delete.prev_kv }
    }
}

impl TryFrom<disk::DeleteRange> for DeleteRangeRequest {
    type Error = EntryError;

    fn try_from(delete: disk::DeleteRange) -> Result<Self, EntryError> {
        Ok(Self { range: key_range(delete.range)?, prev_kv: delete.prev_kv })
    }
}

impl From<&RangeRequest> for disk::Range {
    fn from(range: &RangeRequest) -> Self {
        Self {
            range: Some((&range.range).into()),
            limit: range.limit,
            revision: range.revision.map(|revision| revision.0),
            sort: range.sort.map(Into::into),
            serializable: range.serializable,
            keys_only: range.keys_only,
            count_only: range.count_only,
            min_mod: range.filter.min_mod.map(|revision| revision.0),
            max_mod: range.filter.max_mod.map(|revision| revision.0),
            min_create: range.filter.min_create.map(|revision| revision.0),
            max_create: range.filter.max_create.map(|revision| revision.0),
        }
    }
}

impl TryFrom<disk::Range> for RangeRequest {
    type Error = EntryError;

    fn try_from(range: disk::Range) -> Result<Self, EntryError> {
        Ok(Self {
            range: key_range(range.range)?,
            limit: range.limit,
            revision: range.revision.map(Revision),
            sort: range.sort.map(Into::into),
            serializable: range.serializable,
            keys_only: range.keys_only,
            count_only: range.count_only,
            filter: RevisionFilter {
                min_mod: range.min_mod.map(Revision),
                max_mod: range.max_mod.map(Revision),
                min_create: range.min_create.map(Revision),
                max_create: range.max_create.map(Revision),
            },
        })
    }
}

impl From<Sort> for disk::Sort {
    fn from(sort: Sort) -> Self {
        let target = match sort.target {
            SortTarget::Key => disk::sort::Target::Key,
            SortTarget::Version => disk::sort::Target::Version,
            SortTarget::Create => disk::sort::Target::Create,
            SortTarget::Mod => disk::sort::Target::Mod,
            SortTarget::Value => disk::sort::Target::Value,
        };
        Self { target: target.into(), descend: sort.order == SortOrder::Descend }
    }
}

impl From<disk::Sort> for Sort {
    fn from(sort: disk::Sort) -> Self {
        let target = match sort.target() {
            disk::sort::Target::Key => SortTarget::Key,
            disk::sort::Target::Version => SortTarget::Version,
            disk::sort::Target::Create => SortTarget::Create,
            disk::sort::Target::Mod => SortTarget::Mod,
            disk::sort::Target::Value => SortTarget::Value,
        };
        Self { target, order: if sort.descend { SortOrder::Descend } else { SortOrder::Ascend } }
    }
}

impl From<&TxnRequest> for disk::Txn {
    fn from(txn: &TxnRequest) -> Self {
        Self {
            compare: txn.compare.iter().map(Into::into).collect(),
            success: txn.success.iter().map(Into::into).collect(),
            failure: txn.failure.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<disk::Txn> for TxnRequest {
    type Error = EntryError;

    fn try_from(txn: disk::Txn) -> Result<Self, EntryError> {
        Ok(Self {
            compare: txn.compare.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            success: txn.success.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            failure: txn.failure.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&TxnOperation> for disk::TxnOperation {
    fn from(operation: &TxnOperation) -> Self {
        let operation = match operation {
            TxnOperation::Range(range) => DiskTxnOperation::Range(range.into()),
            TxnOperation::Put(put) => DiskTxnOperation::Put(put.into()),
            TxnOperation::DeleteRange(delete) => DiskTxnOperation::DeleteRange(delete.into()),
            TxnOperation::Txn(txn) => DiskTxnOperation::Txn(txn.into()),
        };
        Self { operation: Some(operation) }
    }
}

impl TryFrom<disk::TxnOperation> for TxnOperation {
    type Error = EntryError;

    fn try_from(operation: disk::TxnOperation) -> Result<Self, EntryError> {
        Ok(match required(operation.operation, "a transaction's operation")? {
            DiskTxnOperation::Range(range) => Self::Range(range.try_into()?),
            DiskTxnOperation::Put(put) => Self::Put(put.into()),
            DiskTxnOperation::DeleteRange(delete) => Self::DeleteRange(delete.try_into()?),
            DiskTxnOperation::Txn(txn) => Self::Txn(txn.try_into()?),
        })
    }
}

impl From<&Compare> for disk::Compare {
    fn from(compare: &Compare) -> Self {
        let operator = match compare.operator {
            CompareOperator::Equal => disk::compare::Operator::Equal,
            CompareOperator::Greater => disk::compare::Operator::Greater,
            CompareOperator::Less => disk::compare::Operator::Less,
            CompareOperator::NotEqual => disk::compare::Operator::NotEqual,
            CompareOperator::Unknown => disk::compare::Operator::Unknown,
        };
        let target = match &compare.target {
            CompareTarget::Version(version) => DiskTarget::Version(*version),
            CompareTarget::Create(revision) => DiskTarget::Create(revision.0),
            CompareTarget::Mod(revision) => DiskTarget::Mod(revision.0),
            CompareTarget::Value(value) => DiskTarget::Value(value.clone()),
            CompareTarget::Lease(lease) => DiskTarget::Lease(lease.0),
            CompareTarget::Unknown => DiskTarget::Unknown(disk::Nothing {}),
        };
        Self { range: Some((&compare.range).into()), operator: operator.into(), target: Some(target) }
    }
}

impl TryFrom<disk::Compare> for Compare {
    type Error = EntryError;

    fn try_from(compare: disk::Compare) -> Result<Self, EntryError> {
        let operator = match compare.operator() {
            disk::compare::Operator::Equal => CompareOperator::Equal,
            disk::compare::Operator::Greater => CompareOperator::Greater,
            disk::compare::Operator::Less => CompareOperator::Less,
            disk::compare::Operator::NotEqual => CompareOperator::NotEqual,
            disk::compare::Operator::Unknown => CompareOperator::Unknown,
        };
        let target = match required(compare.target, "a comparison's target")? {
            DiskTarget::Version(version) => CompareTarget::Version(version),
            DiskTarget::Create(revision) => CompareTarget::Create(Revision(revision)),
            DiskTarget::Mod(revision) => CompareTarget::Mod(Revision(revision)),
            DiskTarget::Value(value) => CompareTarget::Value(value),
            DiskTarget::Lease(lease) => CompareTarget::Lease(LeaseId(lease)),
            DiskTarget::Unknown(_) => CompareTarget::Unknown,
        };
        Ok(Self { range: key_range(compare.range)?, operator, target })
    }
}

impl From<&[LeaseCheckpoint]> for disk::LeaseCheckpoints {
    fn from(checkpoints: &[LeaseCheckpoint]) -> Self {
        let one = |checkpoint: &LeaseCheckpoint| disk::LeaseCheckpoint {
            id: checkpoint.id.0,
            remaining_ttl: checkpoint.remaining_ttl,
        };
        Self { checkpoints: checkpoints.iter().map(one).collect() }
    }
}

impl From<disk::LeaseCheckpoints> for Vec<LeaseCheckpoint> {
    fn from(checkpoints: disk::LeaseCheckpoints) -> Self {
        let one = |checkpoint: disk::LeaseCheckpoint| LeaseCheckpoint {
            id: LeaseId(checkpoint.id),
            remaining_ttl: checkpoint.remaining_ttl,
        };
        checkpoints.checkpoints.into_iter().map(one).collect()
    }
}

impl From<&Member> for disk::Member {
    fn from(member: &Member) -> Self {
        Self {
            id: member.id.0,
            name: member.name.clone(),
            peer_urls: member.peer_urls.clone(),
            client_urls: member.client_urls.clone(),
            store_urls: member.store_urls.clone(),
            learner: member.learner,
            format: member.format,
        }
    }
}

impl From<disk::Member> for Member {
    fn from(member: disk::Member) -> Self {
        Self {
            id: MemberId(member.id),
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            store_urls: member.store_urls,
            learner: member.learner,
            format: member.format,
        }
    }
}

impl Member {
    /// The member's record on disk.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        disk::Member::from(self).encode_to_vec().into()
    }

    /// Reads a member's record back.
    ///
    /// # Errors
    /// [`EntryError::Malformed`] when the bytes are no member.
    pub fn decode(bytes: Bytes) -> Result<Self, EntryError> {
        let member = disk::Member::decode(bytes).map_err(|error| EntryError::Malformed(error.to_string()))?;
        Ok(member.into())
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
