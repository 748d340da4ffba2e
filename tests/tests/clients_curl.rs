//! curl does what the README shows.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::command;
use tests::deployment::{Deployment, Form};
use tests::requirement;

const README: &str = include_str!("../../README.md");
const README_ADDRESS: &str = "127.0.0.1:2379";
const WITHIN: Duration = Duration::from_secs(20);

/// The words of a shell line that knows single quotes and comments only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        let code = part.split(" #").next().unwrap_or_default();
        words.extend(code.split_whitespace().map(str::to_owned));
        if code.len() < part.len() {
            break;
        }
    }
    words
}

fn curl(curl: &Path, server: &Deployment, line: &str) -> Value {
    let line = line.replace(README_ADDRESS, &server.client().to_string());
    let words = words(&line);
    let arguments: Vec<&str> = ["-s", "-S"].into_iter().chain(words.iter().skip(1).map(String::as_str)).collect();
    let output = command::run(curl, &arguments, "", WITHIN).unwrap();
    assert_eq!(output.code, Some(0), "{line}: {output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_readme_work() {
    let Some(program) = requirement::system_program("curl") else { return };
    let server = Deployment::start(Form::of_this_run(), &[]).await.unwrap();
    let lines: Vec<&str> = README.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    let replies: Vec<Value> = lines.iter().map(|line| curl(&program, &server, line)).collect();
    let found = |pointer: &str, value: &str| {
        replies.iter().any(|reply| reply.pointer(pointer).is_some_and(|field| field == value))
    };
    assert!(found("/header/revision", "2"), "{replies:?}");
    assert!(found("/kvs/0/value", "YmFy"), "{replies:?}");
    assert!(found("/health", "true"), "{replies:?}");
}
