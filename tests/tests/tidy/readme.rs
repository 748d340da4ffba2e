//! The documents name files that exist and targets that make knows.

use crate::exceptions::{Violation, expect_none};
use crate::repository::{File, files};

/// Top-level documents whose words in backticks are promises.
const DOCUMENTS: [&str; 2] = ["README.md", "CONTRIBUTING.md"];

#[test]
fn named_files_exist() {
    let files = files();
    let mut violations = Vec::new();
    for document in files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str())) {
        let missing = quoted(&document.text).filter(|word| looks_like_path(word) && !exists(&files, word));
        violations.extend(missing.map(|word| Violation::new(&document.path, format!("`{word}` does not exist"))));
    }
    expect_none("named_files_exist", &violations);
}

#[test]
fn named_targets_exist() {
    let files = files();
    let makefile = &files.iter().find(|file| file.path == "Makefile").unwrap().text;
    let mut violations = Vec::new();
    for document in files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str())) {
        let targets = quoted(&document.text).filter_map(|words| words.strip_prefix("make "));
        let unknown = targets.filter(|target| {
            let name = target.split_whitespace().next().unwrap_or_default();
            !makefile.contains(&format!("\n{name}:"))
        });
        violations.extend(unknown.map(|target| Violation::new(&document.path, format!("`make {target}` is unknown"))));
    }
    expect_none("named_targets_exist", &violations);
}

/// What stands between single backticks, outside of code blocks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|part| part.split('`').skip(1).step_by(2))
}

/// A relative path, not a URL path, flag, media type with parameters or pattern.
fn looks_like_path(word: &str) -> bool {
    let is_plain = word.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char));
    let has_ending = [".rs", ".md", ".sh", ".toml", ".proto", ".yaml"].iter().any(|ending| word.ends_with(ending));
    is_plain && !word.starts_with(['/', '-']) && (word.contains('/') || has_ending)
}

/// The whole path, or the end of one: documents shorten `storenode/src/state/apply.rs` to `state/apply.rs`.
fn exists(files: &[File], word: &str) -> bool {
    let word = word.trim_end_matches('/');
    let bounded = |path: &str| format!("/{path}/").contains(&format!("/{word}/"));
    files.iter().any(|file| bounded(&file.path))
}

#[test]
fn paths_are_told_from_other_words() {
    assert_eq!(quoted("a `b/c.rs` d\n```\n`no`\n```\n`e`").collect::<Vec<_>>(), ["b/c.rs", "e"]);
    assert!(looks_like_path("state/apply.rs") && looks_like_path("Cargo.toml"));
    assert!(!looks_like_path("/v3/kv/put") && !looks_like_path("--data-dir") && !looks_like_path("metastore"));
    let files = [File { path: "storenode/src/state/apply.rs".to_owned(), text: String::new() }];
    assert!(exists(&files, "state/apply.rs") && exists(&files, "storenode/") && !exists(&files, "te/apply.rs"));
}
