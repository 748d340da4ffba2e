//! A limited read sorted by something else than the key, without an order: etcd cuts first and sorts afterwards.
//!
//! ```text
//!  limit 2, target VERSION     store: a(3) b(2) c(1) d(1)
//!    order ASCEND              sort all, cut:        c(1) d(1)
//!    order NONE                take limit + 1: a b c, sort, cut:   c(1) b(2)
//! ```
//!
//! The store is asked for `limit + 1` keys in key order; the rest happens here, so that no one else has to know.

use internal_proto::{KeyValue, RangeRequest, RangeResponse, SortTarget as StoreTarget};
use proto::etcdserverpb as wire;
use wire::range_request::{SortOrder, SortTarget};

/// Whether a read is of this kind. Filters make etcd read everything before it cuts.
pub(super) fn applies(request: &wire::RangeRequest) -> bool {
    let filtered = request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0;
    request.limit > 0
        && request.sort_order() == SortOrder::None
        && request.sort_target() != SortTarget::Key
        && !request.count_only
        && !filtered
}

/// What to ask the store. Values that are only to be sorted by are asked for, too.
pub(super) fn widen(asked: RangeRequest) -> RangeRequest {
    let limit = if asked.limit < i64::MAX.unsigned_abs() { asked.limit + 1 } else { asked.limit };
    let by_value = asked.sort.is_some_and(|sort| sort.target == StoreTarget::Value);
    RangeRequest { limit, sort: None, keys_only: asked.keys_only && !by_value, ..asked }
}

/// What to answer, from what the store answered to the widened request.
pub(super) fn narrow(request: &wire::RangeRequest, mut response: RangeResponse) -> RangeResponse {
    match request.sort_target() {
        SortTarget::Key => {}
        SortTarget::Version => response.kvs.sort_by_key(|kv| kv.fields().version),
        SortTarget::Create => response.kvs.sort_by_key(|kv| kv.fields().create_revision),
        SortTarget::Mod => response.kvs.sort_by_key(KeyValue::mod_revision),
        SortTarget::Value => response.kvs.sort_by(|left, right| left.fields().value.cmp(right.fields().value)),
    }
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    response.more = response.kvs.len() > limit;
    response.kvs.truncate(limit);
    if request.keys_only && request.sort_target() == SortTarget::Value {
        response.kvs = response.kvs.iter().map(KeyValue::without_value).collect();
    }
    response
}
