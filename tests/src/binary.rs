//! Which programs the suites start, and how many operations they run.
//!
//! `METASTORE_BIN` names the product. A real etcd may stand in for it (`METASTORE_BIN=…/etcd`): then every comparison
//! has to come out equal.

use std::env;
use std::path::PathBuf;

use crate::requirement;

/// A program under test or one it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The real etcd: the judge.
    Etcd,
    /// This repository's `metastore`, which keeps everything in memory by default.
    MetaStore,
    /// This repository's `storenode`, beside `metastore`.
    StoreNode,
    /// This repository's `gateway`, beside `metastore`.
    Gateway,
    /// The same with its data in RocksDB.
    MetaStoreOnDisk,
    /// A DNS server that knows etcd, as published.
    CoreDns,
}

impl Program {
    /// Where the program is.
    ///
    /// # Panics
    /// When it does not exist; the message says how to get it. A test that can do without etcd or CoreDNS asks
    /// [`requirement::etcd`] or [`requirement::coredns`] first.
    #[must_use]
    pub fn path(self) -> PathBuf {
        match self {
            Self::Etcd => requirement::etcd().expect("the suite has asked for etcd before it starts one"),
            Self::CoreDns => requirement::coredns().expect("the suite has asked for CoreDNS before it starts one"),
            Self::MetaStore | Self::MetaStoreOnDisk => product(),
            Self::StoreNode | Self::Gateway => beside_product(self.name()),
        }
    }

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::MetaStore => "metastore",
            Self::StoreNode => "storenode",
            Self::Gateway => "gateway",
            Self::MetaStoreOnDisk => "metastore-on-disk",
            Self::CoreDns => "coredns",
        }
    }

    /// The flags that make it this one.
    #[must_use]
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Etcd | Self::MetaStore | Self::StoreNode | Self::Gateway | Self::CoreDns => &[],
            Self::MetaStoreOnDisk => &["--storage=rocksdb"],
        }
    }

    /// Whether it takes `--data-dir`.
    #[must_use]
    pub const fn keeps_data(self) -> bool {
        !matches!(self, Self::Gateway | Self::CoreDns)
    }
}

/// Whether a real etcd stands in for the product, so that what etcd does otherwise cannot be asked of it.
#[must_use]
pub fn etcd_stands_in() -> bool {
    product().file_name().is_some_and(|name| name == "etcd")
}

/// `short` in `make test`, `long` in `make test-all`.
#[must_use]
pub fn amount(short: usize, long: usize) -> usize {
    if requirement::is_long_run() { long } else { short }
}

fn product() -> PathBuf {
    let path = env::var_os("METASTORE_BIN").map_or_else(|| target().join("release/metastore"), PathBuf::from);
    assert!(path.exists(), "{} does not exist; build it: cargo build --release -p metastore", path.display());
    path
}

fn beside_product(name: &str) -> PathBuf {
    let path = product().with_file_name(name);
    assert!(path.exists(), "{} does not exist; build it: cargo build --release -p metastore", path.display());
    path
}

fn target() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
    env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from)
}
