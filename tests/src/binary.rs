//! Which programs the suites start, and how many operations they run.
//!
//! `METASTORE_BIN` names the product; `METASTORE_ORACLE_DIR` the directory with etcd, etcdctl and benchmark. A real
//! etcd may stand in for the product (`METASTORE_BIN=…/etcd`): then every comparison has to come out equal.

use std::env;
use std::path::PathBuf;

/// A program under test or one it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The real etcd: the judge.
    Etcd,
    /// This repository's `metastore`.
    MetaStore,
}

impl Program {
    /// Where the program is.
    ///
    /// # Panics
    /// When it does not exist; the message says how to get it.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let (path, advice) = match self {
            Self::Etcd => (oracle_tool("etcd"), "build the oracle"),
            Self::MetaStore => (product(), "cargo build --release -p metastore"),
        };
        assert!(path.exists(), "{} does not exist; to get it: {advice}", path.display());
        path
    }

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::MetaStore => "metastore",
        }
    }
}

/// One of etcd's own tools: `etcd`, `etcdctl`, `benchmark`.
#[must_use]
pub fn oracle_tool(name: &str) -> PathBuf {
    let directory = env::var_os("METASTORE_ORACLE_DIR").map_or_else(|| target().join("oracle"), PathBuf::from);
    directory.join(name)
}

/// Whether the long forms run, as `make test-all` asks for.
#[must_use]
pub fn all() -> bool {
    env::var_os("METASTORE_TEST_ALL").is_some_and(|value| value == "1")
}

/// `short` in `make test`, `long` in `make test-all`.
#[must_use]
pub fn amount(short: usize, long: usize) -> usize {
    if all() { long } else { short }
}

fn product() -> PathBuf {
    env::var_os("METASTORE_BIN").map_or_else(|| target().join("release/metastore"), PathBuf::from)
}

fn target() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
    env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from)
}
