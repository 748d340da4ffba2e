//! Transactions: all comparisons first, then every check of the branches taken, then the operations.
//!
//! ```text
//!  compare ──► Branch{succeeded, nested..}      all of it against the state before the transaction
//!          ──► check the operations taken       the only point of refusal: nothing is written yet
//!          ──► execute                          later operations see earlier ones
//! ```

use std::cmp::Ordering;

use internal_proto::{
    Compare, CompareOperator, CompareTarget, Error, KeyValueFields, LeaseId, PutLease, PutRequest, PutValue, Revision,
    TxnOperation, TxnOperationResponse, TxnRequest, TxnResponse,
};

use super::mvcc::revision::AtRevision;
use super::workspace::Workspace;
use crate::engine::SmallKey;

/// Which branch of a transaction is taken, and which of each transaction nested in it, in order.
struct Branch {
    succeeded: bool,
    nested: Vec<Branch>,
}

impl Branch {
    fn choose(keys: &AtRevision<'_>, txn: &TxnRequest) -> Self {
        let succeeded = txn.compare.iter().all(|compare| holds(keys, compare));
        let nested = taken(txn, succeeded).iter().filter_map(|operation| match operation {
            TxnOperation::Txn(inner) => Some(Self::choose(keys, inner)),
            _ => None,
        });
        Self { succeeded, nested: nested.collect() }
    }
}

fn taken(txn: &TxnRequest, succeeded: bool) -> &[TxnOperation] {
    if succeeded { &txn.success } else { &txn.failure }
}

fn holds(keys: &AtRevision<'_>, compare: &Compare) -> bool {
    let found = keys.range(&compare.range, None);
    if found.is_empty() {
        // No value can stand for a missing one, so a comparison of values fails whatever it asks.
        let value = matches!(compare.target, CompareTarget::Value(_));
        return !value && satisfied(compare, &KeyValueFields::default());
    }
    found.iter().all(|version| satisfied(compare, &version.kv.fields()))
}

fn satisfied(compare: &Compare, stored: &KeyValueFields<'_>) -> bool {
    let order = match &compare.target {
        CompareTarget::Version(version) => stored.version.cmp(version),
        CompareTarget::Create(revision) => stored.create_revision.cmp(revision),
        CompareTarget::Mod(revision) => stored.mod_revision.cmp(revision),
        CompareTarget::Value(value) => stored.value.cmp(value),
        CompareTarget::Lease(lease) => stored.lease.cmp(lease),
        CompareTarget::Unknown => Ordering::Equal,
    };
    match compare.operator {
        CompareOperator::Equal => order.is_eq(),
        CompareOperator::NotEqual => order.is_ne(),
        CompareOperator::Greater => order.is_gt(),
        CompareOperator::Less => order.is_lt(),
        CompareOperator::Unknown => true,
    }
}

impl Workspace<'_> {
    /// Performs a transaction.
    ///
    /// # Errors
    /// For the first operation of the branches taken that cannot be done. Nothing is changed then.
    pub(super) fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, Error> {
        let branch = Branch::choose(&self.keys(), txn);
        self.check(txn, &branch)?;
        Ok(self.execute(txn, &branch))
    }

    fn check(&self, txn: &TxnRequest, branch: &Branch) -> Result<(), Error> {
        let mut nested = branch.nested.iter();
        for operation in taken(txn, branch.succeeded) {
            match operation {
                TxnOperation::Range(range) => self.check_revision(range.revision)?,
                TxnOperation::Put(put) => self.check_put(put)?,
                TxnOperation::DeleteRange(_) => {}
                TxnOperation::Txn(inner) => self.check(inner, nested.next().expect("one per nested transaction"))?,
            }
        }
        Ok(())
    }

    /// Stricter than for a range of its own: there, every revision below 1 means the current one.
    fn check_revision(&self, revision: Option<Revision>) -> Result<(), Error> {
        match revision {
            None | Some(Revision(0)) => Ok(()),
            Some(revision) if revision > self.position.revision => Err(Error::FutureRevision),
            Some(revision) if revision < self.position.compacted => Err(Error::Compacted),
            Some(_) => Ok(()),
        }
    }

    /// Whether a put can be done now.
    pub(super) fn check_put(&self, put: &PutRequest) -> Result<(), Error> {
        if let PutLease::Set(lease) = put.lease
            && lease != LeaseId(0)
            && self.small(&SmallKey::Lease(lease)).is_none()
        {
            return Err(Error::LeaseNotFound);
        }
        let keeps = put.value == PutValue::Keep || put.lease == PutLease::Keep;
        if keeps && self.keys().get(&put.key).is_none() {
            return Err(Error::KeyNotFound);
        }
        Ok(())
    }

    fn execute(&mut self, txn: &TxnRequest, branch: &Branch) -> TxnResponse {
        let mut nested = branch.nested.iter();
        let operations = taken(txn, branch.succeeded);
        let mut responses = Vec::with_capacity(operations.len());
        for operation in operations {
            responses.push(match operation {
                TxnOperation::Range(range) => TxnOperationResponse::Range(self.range(range)),
                TxnOperation::Put(put) => TxnOperationResponse::Put(self.put(put)),
                TxnOperation::DeleteRange(delete) => TxnOperationResponse::DeleteRange(self.delete_range(delete)),
                TxnOperation::Txn(inner) => {
                    let branch = nested.next().expect("one per nested transaction");
                    TxnOperationResponse::Txn(self.execute(inner, branch))
                }
            });
        }
        TxnResponse { revision: self.current(), succeeded: branch.succeeded, responses }
    }
}
