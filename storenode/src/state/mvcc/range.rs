//! Answering one range request from the keys at a revision, with etcd's rules for limit, filter, sort and count.
//!
//! ```text
//!  keys ──► filter ──► sort ──► limit ──► drop values
//!    └──────► count: of all keys in the range, whatever filter and limit say
//! ```

use internal_proto::{
    KeyValue, KeyValueFields, LeaseId, RangeRequest, RangeResponse, Revision, Sort, SortOrder, SortTarget,
};

use super::revision::AtRevision;

/// Reads a range. `current` is the revision for the answer's header.
pub(crate) fn read(keys: &AtRevision<'_>, request: &RangeRequest, current: Revision) -> RangeResponse {
    if request.count_only {
        let count = keys.count(&request.range);
        return RangeResponse { revision: current, count, ..RangeResponse::default() };
    }
    let sort = request.sort.filter(|sort| *sort != IN_KEY_ORDER);
    let filtered = request.filter != internal_proto::RevisionFilter::default();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let limit = (limit > 0).then_some(limit);
    // One more than asked for tells whether there is more; sorting and filtering need all keys.
    let fetch = limit.filter(|_| sort.is_none() && !filtered).map(|limit| limit.saturating_add(1));
    let versions = keys.range(&request.range, fetch);
    let complete = fetch.is_none_or(|fetch| versions.len() < fetch);
    let count = if complete { versions.len() as u64 } else { keys.count(&request.range) };
    let mut kvs: Vec<KeyValue> = versions.into_iter().map(|version| version.kv).collect();
    if filtered {
        kvs.retain(|kv| {
            let fields = kv.fields();
            request.filter.admits(fields.mod_revision, fields.create_revision)
        });
    }
    if let Some(sort) = sort {
        order(&mut kvs, sort);
    }
    let more = limit.is_some_and(|limit| kvs.len() > limit);
    kvs.truncate(limit.unwrap_or(usize::MAX));
    if request.keys_only {
        let by_value = request.sort.is_some_and(|sort| sort.target == SortTarget::Value);
        kvs.iter_mut().for_each(|kv| *kv = key_only(kv, by_value));
    }
    RangeResponse { revision: current, kvs, more, count }
}

const IN_KEY_ORDER: Sort = Sort { target: SortTarget::Key, order: SortOrder::Ascend };

/// etcd reads `keys_only` from its index, which knows no lease, unless it needs the values to sort by.
fn key_only(kv: &KeyValue, with_lease: bool) -> KeyValue {
    let fields = kv.fields();
    let lease = if with_lease { fields.lease } else { LeaseId(0) };
    KeyValue::new(&KeyValueFields { value: &[], lease, ..fields })
}

/// Ties keep key order.
fn order(kvs: &mut [KeyValue], sort: Sort) {
    let compare = |left: &KeyValue, right: &KeyValue| {
        let (left, right) = (left.fields(), right.fields());
        match sort.target {
            SortTarget::Key => left.key.cmp(right.key),
            SortTarget::Version => left.version.cmp(&right.version),
            SortTarget::Create => left.create_revision.cmp(&right.create_revision),
            SortTarget::Mod => left.mod_revision.cmp(&right.mod_revision),
            SortTarget::Value => left.value.cmp(right.value),
        }
    };
    match sort.order {
        SortOrder::Ascend => kvs.sort_by(compare),
        SortOrder::Descend => kvs.sort_by(|left, right| compare(right, left)),
    }
}
