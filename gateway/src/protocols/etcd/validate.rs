//! What etcd checks of a request's shape before anything else, in etcd's order.
//!
//! Which of several faults is reported depends on that order, so it is part of the contract.
//!
//! Invariant: pure functions of the message; what depends on the store's state is checked where the state is.

use internal_proto::Error;
use prost::Message;
use proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};

use super::overlap;

/// Bytes that etcd's log entry adds to a request and its length: one tag, and a header with a ten-byte request id.
const ENTRY_OVERHEAD: usize = 15;

const CUSTOM_SORT: Error = Error::Unimplemented("RangeStream does not support custom sort orders");
const REVISION_FILTERS: Error = Error::Unimplemented("RangeStream does not support revision filters");

/// Checks a read.
///
/// # Errors
/// [`Error::EmptyKey`], [`Error::InvalidSortOption`].
pub(super) fn range(request: &RangeRequest) -> Result<(), Error> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err() {
        return Err(Error::InvalidSortOption);
    }
    Ok(())
}

/// Checks a streamed read, which knows no order but the keys' and no filter.
///
/// # Errors
/// Those of [`range`], and [`Error::Unimplemented`].
pub(super) fn range_stream(request: &RangeRequest) -> Result<(), Error> {
    range(request)?;
    let order = request.sort_order();
    if order != SortOrder::None && !(order == SortOrder::Ascend && request.sort_target() == SortTarget::Key) {
        return Err(CUSTOM_SORT);
    }
    let filters =
        [request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision];
    if filters.iter().any(|&bound| bound != 0) {
        return Err(REVISION_FILTERS);
    }
    Ok(())
}

/// Checks a write.
///
/// # Errors
/// [`Error::EmptyKey`], [`Error::ValueProvided`], [`Error::LeaseProvided`].
pub(super) fn put(request: &PutRequest) -> Result<(), Error> {
    if request.key.is_empty() {
        return Err(Error::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
///
/// # Errors
/// [`Error::EmptyKey`].
pub(super) fn delete_range(request: &DeleteRangeRequest) -> Result<(), Error> {
    if request.key.is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

/// Checks a transaction, both branches and nested ones included: first shapes and numbers, then keys changed twice.
///
/// # Errors
/// [`Error::TooManyOperations`], [`Error::DuplicateKey`], [`Error::KeyNotFound`] for an operation without content, and
/// those of the operations.
pub(super) fn txn(request: &TxnRequest, operations_max: usize) -> Result<(), Error> {
    txn_shape(request, operations_max)?;
    overlap::check(&request.success)?;
    overlap::check(&request.failure)
}

fn txn_shape(request: &TxnRequest, operations_max: usize) -> Result<(), Error> {
    let operations = request.compare.len().max(request.success.len()).max(request.failure.len());
    // A nested transaction has what its parent left over.
    let Some(left_over) = operations_max.checked_sub(operations) else {
        return Err(Error::TooManyOperations);
    };
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Error::EmptyKey);
    }
    request.success.iter().chain(&request.failure).try_for_each(|operation| operation_shape(operation, left_over))
}

fn operation_shape(operation: &RequestOp, operations_max: usize) -> Result<(), Error> {
    match &operation.request {
        Some(Request::RequestRange(request)) => range(request),
        Some(Request::RequestPut(request)) => put(request),
        Some(Request::RequestDeleteRange(request)) => delete_range(request),
        Some(Request::RequestTxn(request)) => txn_shape(request, operations_max),
        None => Err(Error::KeyNotFound),
    }
}

/// Checks that a write, as etcd would log it, is at most `bytes_max` long.
///
/// # Errors
/// [`Error::RequestTooLarge`].
pub(super) fn size(request: &impl Message, bytes_max: usize) -> Result<(), Error> {
    let length = request.encoded_len();
    let entry = length + prost::length_delimiter_len(length) + ENTRY_OVERHEAD;
    if entry > bytes_max { Err(Error::RequestTooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(keys: usize) -> Vec<RequestOp> {
        let put = |key: usize| PutRequest { key: key.to_string().into(), ..PutRequest::default() };
        (0..keys).map(|key| RequestOp { request: Some(Request::RequestPut(put(key))) }).collect()
    }

    #[test]
    fn a_nested_transaction_has_what_its_parent_left_over() {
        let flat = |operations| TxnRequest { failure: puts(operations), ..TxnRequest::default() };
        let nest = |inner| TxnRequest {
            success: vec![RequestOp { request: Some(Request::RequestTxn(inner)) }],
            ..TxnRequest::default()
        };
        assert_eq!(txn(&flat(128), 128), Ok(()));
        assert_eq!(txn(&flat(129), 128), Err(Error::TooManyOperations));
        assert_eq!(txn(&nest(flat(127)), 128), Ok(()));
        assert_eq!(txn(&nest(flat(128)), 128), Err(Error::TooManyOperations));
        assert_eq!(txn(&nest(nest(flat(127))), 128), Err(Error::TooManyOperations));
    }

    #[test]
    fn a_write_is_measured_as_etcd_would_log_it() {
        let put = |bytes| PutRequest { key: "q".into(), value: vec![0; bytes].into(), ..PutRequest::default() };
        assert_eq!(size(&put(1_572_839), 1_572_864), Ok(()));
        assert_eq!(size(&put(1_572_840), 1_572_864), Err(Error::RequestTooLarge));
    }
}
