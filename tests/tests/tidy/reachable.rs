//! Every source file is compiled: some `mod` declaration leads to it from a crate's root.

use std::collections::{BTreeMap, BTreeSet};

use crate::exceptions::{Violation, expect_none};
use crate::repository::sources;

#[test]
fn every_source_is_compiled() {
    let sources = sources();
    let texts = sources.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect::<BTreeMap<_, _>>();
    let reached = reachable(&texts);
    let dead = texts.keys().filter(|path| !reached.contains(**path));
    let violations = dead.map(|path| Violation::new(path, "no mod declaration leads here")).collect::<Vec<_>>();
    expect_none("every_source_is_compiled", &violations);
}

fn reachable(texts: &BTreeMap<&str, &str>) -> BTreeSet<String> {
    let mut open = texts.keys().filter(|path| is_root(path)).map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let mut reached = BTreeSet::new();
    while let Some(path) = open.pop() {
        let Some(text) = texts.get(path.as_str()) else { continue };
        if reached.insert(path.clone()) {
            open.extend(declared(&path, text));
        }
    }
    reached
}

/// What cargo compiles by itself.
fn is_root(path: &str) -> bool {
    let parts = path.split('/').skip(1).collect::<Vec<_>>();
    match parts[..] {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] => true,
        ["src", "bin", ..] => parts.len() == 3 || parts.ends_with(&["main.rs"]),
        ["tests" | "benches" | "examples", _] => true,
        ["tests" | "benches" | "examples", _, last] => last == "main.rs",
        _ => false,
    }
}

/// The files that the `mod name;` lines of a file may mean.
fn declared(path: &str, text: &str) -> Vec<String> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let owns_directory = matches!(name, "mod.rs" | "lib.rs") || is_root(path);
    let inside = if owns_directory { directory.to_owned() } else { path.trim_end_matches(".rs").to_owned() };
    let mut found = Vec::new();
    let mut named_path = None;
    for line in text.lines().map(str::trim) {
        if let Some(file) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            named_path = Some(format!("{directory}/{file}"));
        } else if let Some(module) = line.strip_suffix(';').and_then(module_name) {
            match named_path.take() {
                Some(path) => found.push(path),
                None => found.extend([format!("{inside}/{module}.rs"), format!("{inside}/{module}/mod.rs")]),
            }
        }
    }
    found
}

/// `pub(crate) mod name` gives name.
fn module_name(declaration: &str) -> Option<&str> {
    let words = declaration.split_whitespace().collect::<Vec<_>>();
    match words[..] {
        ["mod", name] => Some(name),
        [visibility, "mod", name] if visibility.starts_with("pub") => Some(name),
        _ => None,
    }
}

#[test]
fn a_file_without_declaration_is_dead() {
    let texts = BTreeMap::from([
        ("a/src/lib.rs", "pub mod one;\nmod two;"),
        ("a/src/one.rs", "pub(crate) mod deep;"),
        ("a/src/one/deep.rs", ""),
        ("a/src/two/mod.rs", "#[path = \"odd.rs\"]\nmod strange;"),
        ("a/src/two/odd.rs", ""),
        ("a/src/dead.rs", ""),
    ]);
    let reached = reachable(&texts);
    let dead = texts.keys().filter(|path| !reached.contains(**path)).collect::<Vec<_>>();
    assert_eq!(dead, [&"a/src/dead.rs"]);
}
