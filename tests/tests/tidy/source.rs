//! Just enough reading of Rust for the rules, relying on rustfmt's layout instead of a parser.

/// The code of a file without comments and without its `#[cfg(test)]` modules, which end a file by convention.
pub(crate) fn product_code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").or_else(|| text.find("#[cfg(test)]\n#[")).unwrap_or(text.len());
    let without_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text[..end].lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// The top-level modules of the own crate that `code` refers to, by `crate::` or by enough `super::`.
/// `depth` is the number of names in the file's module path: 1 for `src/state/mod.rs`.
pub(crate) fn modules_used(code: &str, depth: usize) -> Vec<String> {
    let to_root = "super::".repeat(depth);
    let after = |prefix: &str| {
        let ends = code.match_indices(prefix).map(|(at, found)| at + found.len());
        ends.flat_map(|end| first_names(&code[end..])).collect::<Vec<_>>()
    };
    let mut names = after("crate::");
    if depth > 0 {
        names.extend(after(&to_root));
    }
    names
}

/// `a::b` gives a; `{a, b::{c, d}, e::f}` gives a, b, e.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut open = 1;
    for (at, char) in group.char_indices() {
        match char {
            '{' => open += 1,
            '}' => open -= 1,
            ',' if open == 1 => names.push(name(&group[at + 1..])),
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// A function's first line (from 1), its name and how many lines it has.
pub(crate) struct Function {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) length: usize,
}

/// All functions with a body over several lines: from the line with `fn` to the brace at the same indentation.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &str| line.strip_prefix(indent).is_some_and(|rest| rest == "}" || rest.ends_with(';'));
        let is_inside = |line: &str| line.strip_prefix(indent).is_none_or(|rest| rest.starts_with(' '));
        let body = lines[start + 1..].iter();
        let length = body.clone().position(|line| !is_inside(line) && ends(line)).map_or(1, |end| end + 2);
        found.push(Function { line: start + 1, name: name.to_owned(), length });
    }
    found
}

/// The name behind `fn` on a line that opens a function and does not close it.
fn function_name(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let rest = match code.find("fn ") {
        Some(0) => &code[3..],
        Some(at) if code[..at].split_whitespace().all(is_qualifier) => &code[at + 3..],
        _ => return None,
    };
    let is_closed = code.ends_with('}') || code.ends_with(';');
    let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_')?;
    (!is_closed).then_some(&rest[..end])
}

fn is_qualifier(word: &str) -> bool {
    word.starts_with("pub") || matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"" | "default")
}

#[test]
fn functions_are_measured() {
    let text = "impl A {\n    pub(crate) async fn long(\n        x: u8,\n    ) -> u8 {\n        let f = |fn_name| 1;\n\
                \x20       if x {\n        }\n    }\n\n    fn short() {}\n    fn two() {\n    }\n}\n";
    let measured: Vec<_> = functions(text).into_iter().map(|f| (f.line, f.name, f.length)).collect();
    assert_eq!(measured, [(2, "long".to_owned(), 7), (11, "two".to_owned(), 2)]);
}

#[test]
fn modules_are_found_in_every_form_of_use() {
    let code =
        "use crate::raft::Core;\nuse crate::{log::{Log, Record}, state::Reader};\nlet x = super::super::rpc::y();";
    assert_eq!(modules_used(code, 2), ["raft", "log", "state", "rpc"]);
    assert_eq!(modules_used("use super::apply;", 2), [""; 0]);
}

#[test]
fn tests_and_comments_are_not_product_code() {
    let text = "use a; // tokio\n/// rand\nfn f() {}\n#[cfg(test)]\nmod tests { use tokio; }\n";
    assert_eq!(product_code(text), "use a; \n\nfn f() {}");
}
