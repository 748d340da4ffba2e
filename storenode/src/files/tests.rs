//! Both file layers keep the contract of the traits; the one in memory forgets what it may forget.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Disk, File, Files, PowerLoss, is_disk_full};

const DIR: &str = "/data/files";

fn keeps_the_contract(files: &dyn Files, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    assert_eq!(files.list(dir).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files.open(&a).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(files.create(&a).is_err(), "the directory does not exist yet");
    files.create_dir(dir).unwrap();
    files.create_dir(dir).unwrap();

    let file = files.create(&a).unwrap();
    assert_eq!(files.create(&a).err().unwrap().kind(), ErrorKind::AlreadyExists);
    file.allocate(10_000).unwrap();
    file.write_at(b"hello", 9_998).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.size().unwrap(), 10_003);
    let mut buffer = [9; 7];
    file.read_at(&mut buffer, 9_996).unwrap();
    assert_eq!(&buffer, b"\0\0hello");
    assert_eq!(file.read_at(&mut buffer, 9_997).unwrap_err().kind(), ErrorKind::UnexpectedEof);

    files.create(&b).unwrap().write_at(b"b", 0).unwrap();
    assert_eq!(files.list(dir).unwrap(), ["a", "b"]);
    files.rename(&b, &a).unwrap();
    files.sync_dir(dir).unwrap();
    assert_eq!(files.list(dir).unwrap(), ["a"]);
    assert_eq!(files.read(&a).unwrap(), b"b");
    files.remove(&a).unwrap();
    assert!(files.list(dir).unwrap().is_empty());
    assert_eq!(files.remove(&a).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_disk_keeps_the_contract() {
    let parent = tempfile::tempdir().unwrap();
    keeps_the_contract(&Disk, &parent.path().join("x/y"));
}

#[test]
fn the_simulated_disk_keeps_the_contract() {
    keeps_the_contract(&PowerLoss::new(0), Path::new(DIR));
}

/// A simulated disk with one durable file of two sectors.
fn with_file(seed: u64) -> (PowerLoss, Arc<dyn File>) {
    let files = PowerLoss::new(seed);
    files.create_dir(Path::new(DIR)).unwrap();
    let file = files.create(&Path::new(DIR).join("file")).unwrap();
    file.allocate(1024).unwrap();
    files.sync_dir(Path::new(DIR)).unwrap();
    (files, file)
}

#[test]
fn what_is_not_synced_is_lost_kept_or_torn_by_sector() {
    let (mut lost, mut kept, mut torn, mut one_of_two) = (0, 0, 0, 0);
    for seed in 0..1000 {
        let (files, file) = with_file(seed);
        file.write_at(&[1; 1024], 0).unwrap();
        files.power_loss();
        assert!(file.size().is_err(), "handles die with the power");
        let bytes = files.read(&Path::new(DIR).join("file")).unwrap();
        let ones = bytes.iter().filter(|byte| **byte == 1).count();
        match ones {
            0 => lost += 1,
            1024 => kept += 1,
            512 => one_of_two += 1,
            _ => torn += 1,
        }
    }
    assert!(lost.min(kept).min(torn).min(one_of_two) > 50, "{lost} {kept} {torn} {one_of_two}");
}

#[test]
fn directory_changes_wait_for_the_sync_of_the_directory() {
    let dir = Path::new(DIR);
    let (files, file) = with_file(0);
    file.write_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    files.rename(&dir.join("file"), &dir.join("other")).unwrap();
    files.create(&dir.join("new")).unwrap().sync_data().unwrap();
    files.lose_unsynced();
    assert_eq!(files.list(dir).unwrap(), ["file"]);
    assert!(files.read(&dir.join("file")).unwrap().starts_with(b"synced"));
    files.remove(&dir.join("file")).unwrap();
    files.sync_dir(dir).unwrap();
    files.lose_unsynced();
    assert!(files.list(dir).unwrap().is_empty());
}

#[test]
fn a_kill_loses_handles_but_no_bytes() {
    let (files, file) = with_file(0);
    files.cut_power_after(1);
    file.write_at(b"first", 0).unwrap();
    assert!(file.write_at(b"later", 100).is_err());
    assert!(file.sync_data().is_err() && files.list(Path::new(DIR)).is_err());
    files.kill();
    let bytes = files.read(&Path::new(DIR).join("file")).unwrap();
    assert!(bytes.starts_with(b"first") && bytes[100..].starts_with(b"later"));
}

#[test]
fn what_a_failed_sync_dropped_needs_to_be_written_again() {
    let (files, file) = with_file(0);
    files.fail_sync_after(Some(0));
    file.write_at(&[1; 1024], 0).unwrap();
    assert!(file.sync_data().is_err());
    file.write_at(&[2], 0).unwrap();
    file.sync_data().unwrap();
    files.lose_unsynced();
    let bytes = files.read(&Path::new(DIR).join("file")).unwrap();
    assert_eq!((bytes[0], bytes[1], bytes[512]), (2, 1, 0));
}

#[test]
fn a_full_disk_stops_growth_and_nothing_else() {
    let (files, file) = with_file(0);
    files.set_capacity(Some(files.used() + 100));
    let error = file.write_at(&[0; 101], 1024).unwrap_err();
    assert!(is_disk_full(&error));
    file.write_at(&[0; 1024], 0).unwrap();
    file.write_at(&[0; 100], 1024).unwrap();
    assert!(files.create(&Path::new(DIR).join("b")).unwrap().allocate(1).is_err());
    files.remove(&Path::new(DIR).join("file")).unwrap();
    files.open(&Path::new(DIR).join("b")).unwrap().allocate(1000).unwrap();
}

#[test]
fn the_hook_runs_before_every_sync_outside_the_lock() {
    let (files, file) = with_file(0);
    let calls = Arc::new(AtomicU64::new(0));
    let (counter, inside) = (calls.clone(), files.clone());
    files.before_sync(Some(Arc::new(move || {
        counter.fetch_add(1 + inside.used() / 1024, Ordering::Relaxed);
    })));
    file.sync_data().unwrap();
    files.before_sync(None);
    file.sync_data().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
