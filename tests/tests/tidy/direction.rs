//! Dependencies point one way, between crates and between the modules of a crate.
//!
//! ```text
//! metastore ─┬► gateway ──► proto ─┐       protocols ──► stack ──► middleware ──► router
//!            └► storenode ─────────┴► internal-proto     rpc ──► raft ──► state ──► engine
//! ```

use crate::exceptions::{Violation, expect_none};
use crate::repository::{File, files, sources};
use crate::source::{modules_used, product_code};

/// Which members of the workspace a crate may depend on. Tests and the bench look from outside.
const CRATES: &[(&str, &[&str])] = &[
    ("internal-proto", &[]),
    ("proto", &["internal-proto"]),
    ("gateway", &["internal-proto", "proto"]),
    ("storenode", &["internal-proto"]),
    ("metastore", &["internal-proto", "gateway", "storenode"]),
    ("tests", &["internal-proto", "proto", "gateway", "storenode", "metastore"]),
    ("bench", &[]),
];

/// `(crate, module, modules it must not know)`.
const MODULES: &[(&str, &str, &[&str])] = &[
    ("gateway", "router", &["middleware", "stack", "protocols"]),
    ("gateway", "middleware", &["stack", "protocols"]),
    ("gateway", "watch", &["stack", "protocols"]),
    ("gateway", "stack", &["protocols"]),
    ("storenode", "engine", &["state", "log", "raft", "rpc", "leader", "watch"]),
    ("storenode", "state", &["log", "raft", "rpc", "leader", "watch"]),
    ("storenode", "files", &["log", "state", "engine", "raft", "rpc", "leader", "watch"]),
    ("storenode", "log", &["state", "engine", "raft", "rpc", "leader", "watch"]),
    ("storenode", "watch", &["raft", "rpc", "leader"]),
    ("storenode", "raft", &["rpc"]),
];

/// Apply is deterministic: below these modules there is no runtime, clock or randomness.
const DETERMINISTIC: [&str; 2] = ["storenode/src/state", "storenode/src/engine"];
const NOT_DETERMINISTIC: [&str; 6] = ["tokio", "Instant", "SystemTime", "rand::", "RandomState", "thread_rng"];

#[test]
fn crates_point_one_way() {
    let files = files();
    let mut violations = Vec::new();
    for manifest in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let name = manifest.path.trim_end_matches("/Cargo.toml");
        let allowed = CRATES.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            violations.push(Violation::new(&manifest.path, "has no line in CRATES"));
            continue;
        };
        let members = dependencies(&manifest.text).filter(|on| CRATES.iter().any(|(known, _)| known == on));
        let wrong = members.filter(|on| !allowed.contains(on));
        violations.extend(wrong.map(|on| Violation::new(&manifest.path, format!("depends on {on}"))));
    }
    expect_none("crates_point_one_way", &violations);
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
}

#[test]
fn modules_point_one_way() {
    let sources = sources();
    let mut violations = Vec::new();
    for (package, module, forbidden) in MODULES {
        for file in sources.iter().filter(|file| is_in(file, package, module)) {
            let used = modules_used(&product_code(&file.text), depth(&file.path));
            let wrong = used.iter().filter(|name| forbidden.contains(&name.as_str()));
            violations.extend(wrong.map(|name| Violation::new(&file.path, format!("knows {name}"))));
        }
    }
    expect_none("modules_point_one_way", &violations);
}

#[test]
fn state_is_deterministic() {
    let sources = sources();
    let mut violations = Vec::new();
    let below = |file: &&File| DETERMINISTIC.iter().any(|directory| file.path.starts_with(directory));
    for file in sources.iter().filter(below).filter(|file| !is_test(&file.path)) {
        let code = product_code(&file.text);
        let found = NOT_DETERMINISTIC.iter().filter(|word| code.contains(**word));
        violations.extend(found.map(|word| Violation::new(&file.path, format!("uses {word}"))));
    }
    expect_none("state_is_deterministic", &violations);
}

fn is_in(file: &File, package: &str, module: &str) -> bool {
    let below = file.path.strip_prefix(package).and_then(|path| path.strip_prefix("/src/"));
    let rest = below.and_then(|path| path.strip_prefix(module));
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/')) && !is_test(&file.path)
}

/// Files that only tests compile, by the convention of their names.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "script.rs"))
}

/// How many names the module path of a file has.
fn depth(path: &str) -> usize {
    let path = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let names = path.trim_end_matches(".rs").split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main"));
    names.count()
}

#[test]
fn module_paths_are_counted() {
    assert_eq!(depth("storenode/src/state/mod.rs"), 1);
    assert_eq!(depth("storenode/src/state/mvcc/view.rs"), 3);
    assert_eq!(depth("gateway/src/stack.rs"), 1);
}

#[test]
fn dependencies_are_read_from_a_manifest() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\ngateway.workspace = true\nproto = { path = \"p\" }\n\n\
                    [dev-dependencies]\nstorenode.workspace = true\n";
    assert_eq!(dependencies(manifest).collect::<Vec<_>>(), ["gateway", "proto"]);
}
