//! What a test needs beyond this repository, and what happens where it is absent.
//!
//! ```text
//! let Some(etcd) = requirement::etcd() else { return };
//!
//! a user's machine          SKIPPED oracle::ranges: no etcd 3.7.3; enable with: make oracle     (test returns)
//! CI=true, make test-all    the same words as a panic                                           (test fails)
//! ```
//!
//! Invariant: a skip is always visible. It is written past libtest's capture of output, and `make test`
//! counts it as skipped, not as passed.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The pins of the oracle, so that the version is written in one place.
const ETCD_PIN: &str = include_str!("../oracle/etcd/go.mod");
const BENCHMARK_PIN: &str = include_str!("../oracle/benchmark/go.mod");
const COREDNS_PIN: &str = include_str!("../oracle/coredns/go.mod");
const DESCRIPTORS_PIN: &str = include_str!("../oracle/descriptors/go.mod");

/// A real etcd of the pinned version, or that of `METASTORE_ETCD_BIN`.
pub fn etcd() -> Option<PathBuf> {
    oracle("METASTORE_ETCD_BIN", "etcd", etcd_version(), "etcd")
}

/// A real etcdctl of the same version as [`etcd`], or that of `METASTORE_ETCDCTL_BIN`.
pub fn etcdctl() -> Option<PathBuf> {
    oracle("METASTORE_ETCDCTL_BIN", "etcd", etcd_version(), "etcdctl")
}

/// A real etcdutl of the same version as [`etcd`], or that of `METASTORE_ETCDUTL_BIN`.
pub fn etcdutl() -> Option<PathBuf> {
    oracle("METASTORE_ETCDUTL_BIN", "etcd", etcd_version(), "etcdutl")
}

/// etcd's load tool, or that of `METASTORE_BENCHMARK_BIN`.
pub fn benchmark() -> Option<PathBuf> {
    let version = pinned(BENCHMARK_PIN, "go.etcd.io/etcd/v3");
    oracle("METASTORE_BENCHMARK_BIN", "benchmark", version, "benchmark")
}

/// A CoreDNS with the etcd plugin, or that of `METASTORE_COREDNS_BIN`.
pub fn coredns() -> Option<PathBuf> {
    let version = pinned(COREDNS_PIN, "github.com/coredns/coredns");
    oracle("METASTORE_COREDNS_BIN", "coredns", version, "coredns")
}

/// The program that prints etcd's wire contract, or that of `METASTORE_DESCRIPTORS_BIN`.
pub fn descriptors() -> Option<PathBuf> {
    let version = pinned(DESCRIPTORS_PIN, "go.etcd.io/etcd/api/v3");
    oracle("METASTORE_DESCRIPTORS_BIN", "descriptors", version, "descriptors")
}

/// The version of the etcd whose behaviour is the judge, without a leading `v`.
pub fn etcd_version() -> &'static str {
    pinned(ETCD_PIN, "go.etcd.io/etcd/server/v3")
}

/// One of this workspace's programs, from the directory this test was built into.
pub fn program(name: &str) -> Option<PathBuf> {
    // target/release/deps/suite-0123 -> target/release/name
    let built = env::current_exe().ok()?.parent()?.parent()?.join(name);
    existing(built, &format!("{name} is not built"), "make build")
}

/// A program that comes with the system, such as git.
pub fn system_program(name: &str) -> Option<PathBuf> {
    let found = env::var_os("PATH")
        .and_then(|path| env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()));
    if found.is_none() {
        missing(&format!("no {name} on the PATH"), &format!("install {name}, then make test"));
    }
    found
}

/// Whether suites shall run their long form: `make test-all`.
pub fn is_long_run() -> bool {
    env::var_os("METASTORE_TEST_ALL").is_some_and(|value| value == "1")
}

/// Says that this test cannot run and what would enable it. The caller returns at once.
///
/// # Panics
///
/// Where everything has to run: under `CI=true` and in `make test-all`.
pub fn missing(reason: &str, enable: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {reason}; enable with: {enable}", thread.name().unwrap_or("unnamed"));
    let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci && !is_long_run(), "{line}");
    // eprintln! would be captured and lost, because a skipped test passes. A closed stderr is no one's loss.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn oracle(variable: &str, directory: &str, version: &str, program: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return existing(path.into(), &format!("{variable} names no file"), &format!("unset {variable}"));
    }
    let path = cache()?.join("oracle").join(format!("{directory}-{version}")).join(program);
    existing(path, &format!("no {program} {version}"), "make oracle")
}

/// The cache of `scripts/environment.sh`.
fn cache() -> Option<PathBuf> {
    env::var_os("METASTORE_CACHE").map(PathBuf::from).or_else(|| {
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .map(|dir| dir.join("metastore"))
    })
}

fn existing(path: PathBuf, reason: &str, enable: &str) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    missing(reason, enable);
    None
}

/// The version a go.mod pins for `module`; empty where it pins none, which names a file that does not exist.
fn pinned(go_mod: &'static str, module: &str) -> &'static str {
    go_mod
        .lines()
        .map(|line| line.trim().trim_start_matches("require "))
        .filter_map(|line| line.strip_prefix(module)?.strip_prefix(" v"))
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_name_the_judge() {
        assert_eq!(etcd_version(), "3.7.3");
        assert_eq!(pinned(BENCHMARK_PIN, "go.etcd.io/etcd/v3"), "3.6.8");
        assert_eq!(pinned(COREDNS_PIN, "github.com/coredns/coredns"), "1.15.0");
        assert_eq!(pinned(ETCD_PIN, "go.etcd.io/nothing"), "");
    }
}
