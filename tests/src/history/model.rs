//! The store that a history describes.

use std::collections::BTreeMap;

use super::Change;

/// One live key as a range shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The value
    pub value: String,
    /// The revision that created the key
    pub create_revision: i64,
    /// The revision that wrote this version
    pub mod_revision: i64,
    /// Writes since the creation
    pub version: i64,
}

/// The live keys after all changes up to `revision`.
#[must_use]
pub fn at(changes: &[Change], revision: i64) -> BTreeMap<String, Version> {
    let mut live = BTreeMap::<String, Version>::new();
    for Change { revision: now, key, value } in changes.iter().take_while(|change| change.revision <= revision) {
        let Some(value) = value else {
            live.remove(key);
            continue;
        };
        let before = live.get(key);
        let version = Version {
            value: value.clone(),
            create_revision: before.map_or(*now, |before| before.create_revision),
            mod_revision: *now,
            version: before.map_or(1, |before| before.version + 1),
        };
        live.insert(key.clone(), version);
    }
    live
}
