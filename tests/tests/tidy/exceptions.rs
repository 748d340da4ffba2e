//! What may break a rule, in one table, each with its reason.
//!
//! Invariant: an exception that nothing needs any more is itself a violation, so the table cannot rot.

/// `(rule, path, reason)`: the rule's name is its test's name.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("no_banned_words", "tests/tests/tidy/words.rs", "lists the words"),
    ("no_banned_words", "Cargo.lock", "names the registry by its address"),
];

/// A rule broken at a place.
pub(crate) struct Violation {
    /// Relative to the repository's root.
    pub(crate) path: String,
    /// What is wrong, with the line where there is one.
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(path: &str, what: impl Into<String>) -> Violation {
        Violation { path: path.to_owned(), what: what.into() }
    }
}

/// Fails the test named `rule` with all its violations, less the exceptions.
#[track_caller]
pub(crate) fn expect_none(rule: &str, violations: &[Violation]) {
    let mut problems: Vec<String> = violations
        .iter()
        .filter(|violation| !EXCEPTIONS.iter().any(|(r, path, _)| *r == rule && *path == violation.path))
        .map(|violation| format!("{}: {}", violation.path, violation.what))
        .collect();
    problems.extend(
        EXCEPTIONS
            .iter()
            .filter(|(r, path, _)| *r == rule && !violations.iter().any(|violation| violation.path == *path))
            .map(|(_, path, reason)| format!("{path}: the exception \"{reason}\" is needed no more")),
    );
    assert!(problems.is_empty(), "{rule}:\n{}", problems.join("\n"));
}
