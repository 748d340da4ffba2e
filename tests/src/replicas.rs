//! Whether the members of a cluster hold the same, record by record, whatever engine they keep it in.
//!
//! ```text
//!  settled ──► followers end ──► the leader ends ──► each directory, read ──► compared with the first
//! ```

use std::path::Path;
use std::time::Duration;

use internal_proto::LogIndex;
use metastore::data_dir;
use storenode::state::Reader;
use storenode::verify::content::content;

use crate::binary::etcd_stands_in;
use crate::cluster::Cluster;
use crate::process::Server;
use crate::simulation::replicas::have_equal_records;
use crate::split::Split;

/// A leader without followers tries to hand over for a while before it ends.
const END_WITHIN: Duration = Duration::from_secs(30);

/// Ends the members of a cluster without traffic, and compares all that they have.
///
/// # Errors
/// The first record that differs, or why there is nothing to compare.
pub async fn are_equal(mut cluster: Cluster) -> Result<(), String> {
    if etcd_stands_in() {
        return Ok(());
    }
    let leader = cluster.leader().await.map_err(|failure| failure.0)?;
    let settled = cluster.settle().await.map_err(|failure| failure.0)?;
    end(&mut cluster.members, leader).await?;
    compare(&cluster.members, LogIndex(settled.applied))
}

/// The same for storage nodes apart.
///
/// # Errors
/// As [`are_equal`].
pub async fn of_split_are_equal(mut split: Split) -> Result<(), String> {
    let leader = split.leader(0).await.map_err(|failure| failure.0)?;
    split.gateways.iter_mut().for_each(Server::kill);
    let applied = split.settle().await.map_err(|failure| failure.0)?;
    end(&mut split.storenodes, leader).await?;
    compare(&split.storenodes, LogIndex(applied))
}

/// Followers first: nobody is left to elect another leader, so hardly an entry comes after.
async fn end(members: &mut [Server], leader: usize) -> Result<(), String> {
    let followers = (0..members.len()).filter(|index| *index != leader);
    for index in followers.chain([leader]) {
        let ended = members[index].terminate(END_WITHIN).await.map_err(|failure| failure.0)?;
        if !ended.success() {
            return Err(format!("member {index} ended with {ended}: {}", members[index].log_tail()));
        }
    }
    Ok(())
}

fn compare(members: &[Server], mut through: LogIndex) -> Result<(), String> {
    loop {
        let read = |(index, member): (usize, &Server)| {
            read(&member.data(), through).map_err(|reason| format!("member {index}: {reason}"))
        };
        let readers = members.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let furthest = readers.iter().map(|reader| reader.applied().0).max();
        // Something may have come after all, and a store may hold it already.
        match furthest.filter(|furthest| *furthest > through) {
            Some(furthest) => through = furthest,
            None => return all_equal(&readers),
        }
    }
}

fn all_equal(readers: &[Reader]) -> Result<(), String> {
    for (index, reader) in readers.iter().enumerate().skip(1) {
        let differs = |reason| format!("members {index} and 0 differ: {reason}");
        have_equal_records(reader, &readers[0]).map_err(differs)?;
    }
    Ok(())
}

fn read(data: &Path, through: LogIndex) -> Result<Reader, String> {
    let looked = data_dir::look(data).map_err(|error| error.to_string())?;
    content(&looked.store, looked.identity, through)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use internal_proto::{KeyValue, KeyValueFields, Revision};
    use storenode::engine::memory::MemoryEngine;
    use storenode::engine::{Batch, ChangeId, Engine as _, NewVersion, Position, SmallKey, Version};
    use storenode::state::{Limits, State};

    use super::*;

    fn put(key: &[u8], value: &[u8], revision: i64) -> NewVersion {
        let revision = Revision(revision);
        let (create_revision, mod_revision) = (revision, revision);
        let fields = KeyValueFields { key, value, create_revision, mod_revision, version: 1, ..Default::default() };
        let version = Version { id: ChangeId { revision, sub: 0 }, kv: KeyValue::new(&fields) };
        NewVersion { version, previous: None }
    }

    fn batch() -> Batch {
        let small = vec![(SmallKey::ConfState, Some(Bytes::new()))];
        let position = Some(Position { applied: LogIndex(9), revision: Revision(3), ..Position::default() });
        Batch { versions: vec![put(b"a", b"1", 2), put(b"b", b"2", 3)], small, position, ..Batch::default() }
    }

    fn reader(batch: &Batch) -> Reader {
        let engine = Arc::new(MemoryEngine::default());
        engine.write(batch);
        State::open(engine, Limits::default()).unwrap().reader()
    }

    #[test]
    fn every_difference_is_found() {
        type Plant = fn(&mut Batch);
        let planted: [(&str, Plant); 5] = [
            ("position", |batch| batch.position.as_mut().unwrap().applied.0 += 1),
            ("HashKV", |batch| batch.versions[1] = put(b"b", b"3", 3)),
            ("HashKV", |batch| drop(batch.versions.pop())),
            ("record 0", |batch| batch.small[0].1 = Some(vec![1].into())),
            ("record 0", |batch| drop(batch.small.pop())),
        ];
        let right = reader(&batch());
        have_equal_records(&reader(&batch()), &right).unwrap();
        for (expected, plant) in planted {
            let mut batch = batch();
            plant(&mut batch);
            let found = have_equal_records(&reader(&batch), &right).unwrap_err();
            assert!(found.starts_with(expected), "{expected}: {found}");
        }
    }
}
