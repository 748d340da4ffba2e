//! Words that mark what is not finished, and names of workplaces.

use crate::exceptions::{Violation, expect_none};
use crate::repository::files;

/// Unfinished work, wherever it stands. Those of letters alone count as whole words.
const BANNED: &[&str] = &[
    "todo!",
    "unimplemented!",
    "dbg!",
    "TODO",
    "FIXME",
    "XXX",
    "HACK",
    "#[allow(dead_code)]",
    // Somebody's machine, somebody's mirror.
    "/root/",
    "/home/",
    "crates.io",
    "proxy.golang.org",
];

#[test]
fn no_banned_words() {
    let files = files();
    let mut violations = Vec::new();
    for file in &files {
        for (at, line) in file.text.lines().enumerate() {
            let found = BANNED.iter().filter(|word| contains(line, word));
            violations.extend(found.map(|word| Violation::new(&file.path, format!("line {}: {word}", at + 1))));
        }
    }
    expect_none("no_banned_words", &violations);
}

fn contains(line: &str, word: &str) -> bool {
    let is_letters = word.chars().all(char::is_alphabetic);
    let is_part = |char: Option<char>| is_letters && char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    line.match_indices(word)
        .any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}

#[test]
fn words_are_found_whole() {
    assert!(contains("// HACK: no", "HACK"));
    assert!(!contains("HACKSAW", "HACK"));
    assert!(contains("    todo!()", "todo!"));
}
