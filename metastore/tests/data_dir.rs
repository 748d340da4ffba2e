//! Every way a data directory can refuse a start, each with its own sentence.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use metastore::bootstrap::Bootstrap;
use metastore::data_dir::DataDir;
use metastore::urls::Url;

fn member(name: &str) -> Bootstrap {
    Bootstrap {
        name: name.to_owned(),
        name_given: true,
        token: "etcd-cluster".to_owned(),
        token_given: false,
        joins: false,
        peer_urls: vec![Url::parse("http://localhost:2380").unwrap()],
        initial_cluster: String::new(),
    }
}

fn refusal(path: &Path, bootstrap: &Bootstrap) -> String {
    DataDir::open(path, bootstrap, "memory").unwrap_err().to_string()
}

#[test]
fn a_new_directory_is_private_and_remembers_who_it_is() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/m1.etcd");
    let opened = DataDir::open(&path, &member("m1"), "memory").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(opened.myself().member_id.0, 10276657743932975437);
    assert_eq!(opened.myself().cluster_id.0, 14841639068965178418);
    assert!(opened.warnings().is_empty());
    let founded = opened.myself().clone();
    drop(opened);

    // A restart with other --initial-* flags is the same member, as with etcd.
    let mut restarted = member("m1");
    restarted.name_given = false;
    restarted.joins = true;
    restarted.initial_cluster = "x=http://127.0.0.1:1,y=http://127.0.0.1:2".to_owned();
    assert_eq!(*DataDir::open(&path, &restarted, "memory").unwrap().myself(), founded);
}

#[test]
fn a_directory_in_use_names_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let _held = DataDir::open(path, &member("m1"), "memory").unwrap();
    let sentence = refusal(path, &member("m1"));
    let holder = format!("data directory {} is in use by process {} (", path.display(), std::process::id());
    assert!(sentence.starts_with(&holder), "{sentence}");
    assert!(sentence.ends_with("stop that process, or choose another directory with --data-dir"), "{sentence}");
}

#[test]
fn data_of_somebody_else_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    drop(DataDir::open(path, &member("m1"), "memory").unwrap());
    let start = format!("data directory {} ", path.display());
    let end = ", or choose another directory with --data-dir";

    let other_member = refusal(path, &member("m2"));
    assert_eq!(
        other_member,
        format!(r#"{start}holds the data of member "m1", not of "m2": start it with --name m1{end}"#)
    );
    let mut other_token = member("m1");
    other_token.token = "mine".to_owned();
    other_token.token_given = true;
    assert_eq!(
        refusal(path, &other_token),
        format!(
            "{start}holds the data of another cluster, founded with another --initial-cluster-token: start it with its \
             own token{end}"
        )
    );
    let engine = DataDir::open(path, &member("m1"), "rocksdb").unwrap_err().to_string();
    assert_eq!(
        engine,
        format!("{start}holds data of the memory engine, not of rocksdb: start it with --storage memory{end}")
    );

    let identity = path.join("IDENTITY");
    let text = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, text.replace("\"format\": 1", "\"format\": 2, \"new\": true")).unwrap();
    let newer = refusal(path, &member("m1"));
    assert!(newer.starts_with(&format!("{start}is of format 2, written by a newer version")), "{newer}");
    fs::write(&identity, &text[..text.len() / 2]).unwrap();
    let damaged = refusal(path, &member("m1"));
    assert!(damaged.starts_with(&format!("{start}holds a damaged file IDENTITY (")), "{damaged}");
    fs::remove_file(&identity).unwrap();
    let lost = refusal(path, &member("m1"));
    assert!(lost.starts_with(&format!("{start}holds data but no file IDENTITY")), "{lost}");
}

#[test]
fn etcds_own_directories_are_left_alone() {
    for inside in ["member/wal", "member/snap/db"] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join(inside)).unwrap();
        let sentence = refusal(directory.path(), &member("m1"));
        let start = format!("{} is a data directory of etcd", directory.path().display());
        assert!(sentence.starts_with(&start) && sentence.contains("etcdctl snapshot save"), "{sentence}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is written there");
    }
}

#[test]
fn places_that_cannot_hold_data_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let sentence = refusal(&file, &member("m1"));
    assert_eq!(sentence, format!("data directory {} is a file: choose another with --data-dir", file.display()));
    let below = file.join("below");
    let sentence = refusal(&below, &member("m1"));
    assert!(sentence.starts_with(&format!("data directory {} cannot be written by user ", below.display())));
    assert!(sentence.contains("(not a directory)"), "{sentence}");
}

#[test]
fn flags_that_found_no_cluster_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    let mut joining = member("m1");
    joining.joins = true;
    joining.initial_cluster = String::new();
    assert!(refusal(&path, &joining).starts_with("--initial-cluster-state=existing asks to join"));
    assert!(!path.exists());
}

#[test]
fn a_directory_open_to_everybody_warns() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let opened = DataDir::open(directory.path(), &member("m1"), "memory").unwrap();
    let warnings = opened.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("is open to every user (mode 755): run chmod 700"), "{warnings:?}");
}
