//! Whether a history contradicts what clients were told.
//!
//! Rules: every acknowledged write is in the history, complete and at its revision; no two acknowledged writes share
//! a revision; a write without an answer is there at most once and never in parts; nothing is there that nobody wrote;
//! revisions have no gaps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Change, Fate, Write};

/// The first revision that a write can have.
const FIRST: i64 = 2;

/// Checks the whole history of a store, from its first write on.
///
/// # Errors
/// The first contradiction, in words.
pub fn check(writes: &[Write], changes: &[Change], current: i64) -> Result<(), String> {
    let by_revision = group(changes, current)?;
    check_each_value_once(writes, changes)?;
    let mut acknowledged = BTreeMap::new();
    for write in writes {
        if let Fate::At(revision) = write.fate {
            if let Some(other) = acknowledged.insert(revision, write) {
                return Err(format!("revision {revision} was acknowledged to {other:?} and to {write:?}"));
            }
            check_acknowledged(write, revision, &by_revision)?;
        }
    }
    check_no_parts(writes, &by_revision)
}

type ByRevision<'a> = BTreeMap<i64, BTreeSet<(&'a str, Option<&'a str>)>>;

fn group(changes: &[Change], current: i64) -> Result<ByRevision<'_>, String> {
    let mut grouped = ByRevision::new();
    let mut last = FIRST - 1;
    for change in changes {
        if change.revision < last || change.revision > last + 1 {
            return Err(format!("after revision {last} comes {change:?}"));
        }
        last = change.revision;
        if !grouped.entry(last).or_default().insert((&change.key, change.value.as_deref())) {
            return Err(format!("twice in one revision: {change:?}"));
        }
    }
    if last == current { Ok(grouped) } else { Err(format!("the store is at {current}, its history ends at {last}")) }
}

fn check_acknowledged(write: &Write, revision: i64, by_revision: &ByRevision<'_>) -> Result<(), String> {
    let found = by_revision.get(&revision).ok_or_else(|| format!("acknowledged and not there: {write:?}"))?;
    for (key, value) in &write.changes {
        // A deletion in a transaction may have found nothing to delete.
        let optional = value.is_none() && write.changes.len() > 1;
        if !optional && !found.contains(&(key.as_str(), value.as_deref())) {
            return Err(format!("acknowledged as {write:?}, but the history has {found:?}"));
        }
    }
    Ok(())
}

fn check_each_value_once(writes: &[Write], changes: &[Change]) -> Result<(), String> {
    let mut written = HashMap::new();
    for write in writes {
        for (key, value) in &write.changes {
            if let Some(value) = value {
                written.insert(value.as_str(), (key, write));
            }
        }
    }
    let mut seen = HashMap::new();
    for change in changes {
        let Some(value) = change.value.as_deref() else { continue };
        match written.get(value) {
            None => return Err(format!("nobody wrote {change:?}")),
            Some((key, write)) if **key != change.key || write.fate == Fate::Nothing => {
                return Err(format!("{change:?} does not fit {write:?}"));
            }
            Some(_) => {}
        }
        if let Some(earlier) = seen.insert(value, change.revision) {
            return Err(format!("{value} was written once and is at {earlier} and at {}", change.revision));
        }
    }
    Ok(())
}

/// A revision that holds one value of a write holds all of them.
fn check_no_parts(writes: &[Write], by_revision: &ByRevision<'_>) -> Result<(), String> {
    let mut places = HashMap::new();
    for (&revision, changes) in by_revision {
        for value in changes.iter().filter_map(|(_, value)| *value) {
            places.insert(value, revision);
        }
    }
    for write in writes {
        let values = write.changes.iter().filter_map(|(_, value)| value.as_deref());
        let found: BTreeSet<Option<i64>> = values.map(|value| places.get(value).copied()).collect();
        if found.len() > 1 {
            return Err(format!("a part of {write:?} is there, or at another revision: {found:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: i64, key: &str, value: Option<&str>) -> Change {
        Change { revision, key: key.to_owned(), value: value.map(str::to_owned) }
    }

    fn write(fate: Fate, changes: &[(&str, Option<&str>)]) -> Write {
        let owned = |&(key, value): &(&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
        Write { changes: changes.iter().map(owned).collect(), fate }
    }

    fn writes() -> Vec<Write> {
        vec![
            write(Fate::At(2), &[("a", Some("1"))]),
            write(Fate::Unknown, &[("a", Some("2")), ("b", Some("3"))]),
            write(Fate::At(4), &[("a", None)]),
            write(Fate::Nothing, &[("a", None)]),
            write(Fate::Unknown, &[("c", Some("4"))]),
        ]
    }

    fn history() -> Vec<Change> {
        vec![change(2, "a", Some("1")), change(3, "a", Some("2")), change(3, "b", Some("3")), change(4, "a", None)]
    }

    #[test]
    fn a_true_history_passes() {
        assert_eq!(check(&writes(), &history(), 4), Ok(()));
    }

    #[test]
    fn every_contradiction_is_found() {
        type Plant = fn(&mut Vec<Change>);
        let planted: [(&str, Plant); 8] = [
            ("not there", |history| drop(history.pop())),
            ("after revision", |history| drop(history.remove(0))),
            ("a part of", |history| drop(history.remove(2))),
            ("nobody wrote", |history| history.push(change(5, "c", Some("other")))),
            ("is at 2 and at 5", |history| history.push(change(5, "a", Some("1")))),
            ("does not fit", |history| history.push(change(5, "z", Some("4")))),
            ("but the history has", |history| history[3].key = "b".to_owned()),
            ("twice in one revision", |history| history.push(change(4, "a", None))),
        ];
        for (expected, plant) in planted {
            let mut history = history();
            plant(&mut history);
            let current =
                history.last().map_or(1, |change| change.revision).max(if expected == "not there" { 3 } else { 4 });
            let found = check(&writes(), &history, current).unwrap_err();
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn a_revision_acknowledged_twice_is_found() {
        let mut writes = writes();
        writes[2].fate = Fate::At(2);
        assert!(check(&writes, &history(), 4).unwrap_err().contains("was acknowledged to"));
    }

    #[test]
    fn a_lost_tail_is_found() {
        assert!(check(&writes(), &history(), 5).unwrap_err().contains("ends at 4"));
    }
}
