//! How files look: length, width, names, and a first line that says what the module is.

use crate::exceptions::{Violation, expect_none};
use crate::repository::{File, sources};
use crate::source::functions;

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_COLUMNS: usize = 120;
const MAX_MAIN_LINES: usize = 40;

/// Names that say nothing about what is inside.
const BANNED_NAMES: [&str; 9] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "handler"];

fn check(rule: &str, find: impl Fn(&File) -> Vec<String>) {
    let sources = sources();
    let of_file = |file: &File| find(file).into_iter().map(|what| Violation::new(&file.path, what)).collect::<Vec<_>>();
    expect_none(rule, &sources.iter().flat_map(of_file).collect::<Vec<_>>());
}

#[test]
fn files_are_short() {
    check("files_are_short", |file| {
        let limit = if file.name() == "main.rs" { MAX_MAIN_LINES } else { MAX_FILE_LINES };
        let lines = file.text.lines().count();
        if lines > limit { vec![format!("{lines} lines, more than {limit}")] } else { Vec::new() }
    });
}

#[test]
fn functions_are_short() {
    check("functions_are_short", |file| {
        let long = functions(&file.text).into_iter().filter(|function| function.length > MAX_FUNCTION_LINES);
        let describe = |f: crate::source::Function| format!("line {}: `{}` has {} lines", f.line, f.name, f.length);
        long.map(describe).collect()
    });
}

#[test]
fn lines_are_narrow() {
    check("lines_are_narrow", |file| {
        let lines = file.text.lines().enumerate();
        let wide = lines.filter(|(_, line)| line.chars().count() > MAX_COLUMNS);
        wide.map(|(at, _)| format!("line {} is wider than {MAX_COLUMNS} columns", at + 1)).collect()
    });
}

#[test]
fn modules_open_with_what_they_are() {
    check("modules_open_with_what_they_are", |file| {
        let opens = file.text.trim_start().starts_with("//!");
        if opens { Vec::new() } else { vec!["does not open with //!".to_owned()] }
    });
}

#[test]
fn names_say_what_is_inside() {
    check("names_say_what_is_inside", |file| {
        let parts = file.path.trim_end_matches(".rs").split(['/', '_']);
        parts.filter(|part| BANNED_NAMES.contains(part)).map(|part| format!("`{part}` is no name")).collect()
    });
}
