//! Whether a node holds what it should: against a model, or against another node.

use std::fmt::Debug;

use internal_proto::{Event, KeyRange, KeyValue, LeaseId, RangeRequest, Revision};
use storenode::engine::{ChangeId, Version};
use storenode::state::Reader;

use super::model::Model;

/// Compares everything a node shows with what it must be.
///
/// # Errors
/// The first thing that differs.
pub fn equals_model(reader: &Reader, model: &Model) -> Result<(), String> {
    same("revision", &reader.revision(), &model.revision)?;
    same("compacted revision", &reader.compacted(), &model.compacted)?;
    same_items("key", &keys(reader)?, &model.keys.values().cloned().collect::<Vec<_>>())?;
    let leases: Vec<(LeaseId, i64)> = reader.leases().into_iter().map(|(id, lease)| (id, lease.ttl)).collect();
    same_items("lease", &leases, &model.leases.iter().map(|(id, lease)| (*id, lease.ttl)).collect::<Vec<_>>())?;
    for (id, _) in leases {
        same_items("key of a lease", &reader.lease_keys(id), &model.lease_keys(id))?;
    }
    same_items("change", &history(reader)?, &model.readable_history())
}

/// Compares two nodes that have applied the same entries.
///
/// # Errors
/// The first thing that differs.
pub fn equal_each_other(left: &Reader, right: &Reader) -> Result<(), String> {
    same("position", &left.position(), &right.position())?;
    let hash = |reader: &Reader| reader.hash(None).map_err(|error| error.to_string());
    same("HashKV", &hash(left)?, &hash(right)?)?;
    same_items("key", &keys(left)?, &keys(right)?)?;
    same_items("record", left.view().small_records(), right.view().small_records())?;
    same_items("change", &history(left)?, &history(right)?)
}

/// Compares every record of two nodes that have applied the same entries, and compacted as far as they may.
///
/// # Errors
/// The first thing that differs.
pub fn have_equal_records(left: &Reader, right: &Reader) -> Result<(), String> {
    equal_each_other(left, right)?;
    same_items("version", &versions(left), &versions(right))?;
    let attached = |reader: &Reader| -> Vec<_> {
        reader.leases().into_iter().map(|(id, _)| (id, reader.lease_keys(id))).collect()
    };
    same_items("keys of a lease", &attached(left), &attached(right))
}

/// All that are retained, readable or not.
fn versions(reader: &Reader) -> Vec<Version> {
    let view = reader.view();
    let mut versions: Vec<Version> = Vec::new();
    loop {
        let page = view.versions(versions.last().map_or_else(ChangeId::default, |version| version.id), usize::MAX);
        if page.is_empty() {
            return versions;
        }
        versions.extend(page);
    }
}

/// Every readable event, by revision.
///
/// # Errors
/// When the node refuses to show them.
pub fn history(reader: &Reader) -> Result<Vec<(Revision, Vec<Event>)>, String> {
    let from = Revision(reader.compacted().0.max(0) + 1);
    let page = reader.changes(&KeyRange::all(), from, usize::MAX).map_err(|error| error.to_string())?;
    Ok(page.changes.into_iter().map(|changes| (changes.revision, changes.events)).collect())
}

fn keys(reader: &Reader) -> Result<Vec<KeyValue>, String> {
    let all = RangeRequest { range: KeyRange::all(), ..RangeRequest::default() };
    Ok(reader.range(&all).map_err(|error| error.to_string())?.kvs)
}

fn same<T: PartialEq + Debug>(what: &str, found: &T, right: &T) -> Result<(), String> {
    if found == right { Ok(()) } else { Err(format!("{what}: found {found:?}, must be {right:?}")) }
}

/// The first item that differs says enough.
fn same_items<T: PartialEq + Debug>(what: &str, found: &[T], right: &[T]) -> Result<(), String> {
    let common = found.len().min(right.len());
    let at = (0..common).find(|&at| found[at] != right[at]).unwrap_or(common);
    if at == found.len() && at == right.len() {
        return Ok(());
    }
    let (found, right) = (found.get(at), right.get(at));
    Err(format!("{what} {at}: found {found:?}, must be {right:?}"))
}
