//! The log on the operating system's files.

use std::sync::Arc;

use internal_proto::LogIndex;

use super::super::{Log, Options, Record, Reserve};
use super::{IDENTITY, entry};
use crate::files::{Disk, Files};

#[test]
fn a_log_on_a_real_disk_is_read_back_after_reopening() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("member/log");
    let options = Options { identity: IDENTITY, segment_bytes: 64 << 10 };
    let entries: Vec<_> = (1..=100).map(|index| entry(index, 1, vec![b'x'; 4000])).collect();

    let (mut log, recovered) = Log::open(Arc::new(Disk), &dir, options).unwrap();
    assert_eq!(recovered.last, LogIndex(0));
    assert_eq!(log.retry_reserve().unwrap(), Reserve::Available);
    for group in entries.chunks(7) {
        log.append(&[Record::Entries(group)]).unwrap();
        log.sync().unwrap();
    }
    assert!(log.trim(LogIndex(50)).unwrap() > 0);
    drop(log);

    let (mut log, recovered) = Log::open(Arc::new(Disk), &dir, options).unwrap();
    assert!(recovered.first > LogIndex(1) && recovered.first <= LogIndex(51));
    assert_eq!((recovered.last, recovered.cut), (LogIndex(100), None));
    let kept = log.entries(LogIndex(51), LogIndex(101), usize::MAX).unwrap();
    assert_eq!(kept, entries[50..]);
    assert!(Disk.list(&dir).unwrap().iter().any(|name| name.ends_with(".spare")));
}
