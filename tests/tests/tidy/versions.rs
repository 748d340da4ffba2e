//! The `rust-version` that the workspace states is enough for everything in `Cargo.lock`.

use std::process::Command;

use serde_json::Value;

use crate::exceptions::{Violation, expect_none};
use crate::repository::root;

#[test]
fn no_dependency_asks_for_a_newer_rust() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"];
    let output = Command::new(cargo).args(arguments).arg(host()).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();

    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "cargo names only {} packages", packages.len());
    let asks_for_more = packages.iter().filter_map(|package| {
        let asked = package["rust_version"].as_str().filter(|asked| version(asked) > stated)?;
        let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
        Some(Violation::new("Cargo.lock", format!("{name} needs Rust {asked}")))
    });
    expect_none("no_dependency_asks_for_a_newer_rust", &asks_for_more.collect::<Vec<_>>());
}

/// Only what this machine compiles has been downloaded, and `--offline` must find all it names.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// 1.89 equals 1.89.0.
fn version(text: &str) -> Vec<u32> {
    let mut parts = text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<_>>();
    parts.resize(3, 0);
    parts
}

#[test]
fn versions_compare_by_number() {
    assert!(version("1.100") > version("1.89.1") && version("1.89") == version("1.89.0"));
}
