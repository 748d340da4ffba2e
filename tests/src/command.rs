//! Programs that use a server from outside: etcdctl, benchmark, curl. Their output, without what may differ.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

const POLL_EVERY: Duration = Duration::from_millis(5);
/// Shorter runs of digits are revisions, versions and sizes; longer ones ids.
const ID_DIGITS: usize = 13;

/// How a program ended and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `None` if it had to be killed
    pub code: Option<i32>,
    /// Standard output
    pub stdout: String,
    /// Standard error
    pub stderr: String,
}

/// Runs a program to its end, or kills it after `within`.
///
/// # Errors
/// When it cannot be started.
pub fn run(program: &Path, arguments: &[&str], input: &str, within: Duration) -> io::Result<Output> {
    let mut child = spawn(program, arguments)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may have ended.
        let _ = stdin.write_all(input.as_bytes());
    }
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let deadline = Instant::now() + within;
    let code = loop {
        match child.try_wait()? {
            Some(status) => break status.code(),
            None if Instant::now() > deadline => break end(&mut child),
            None => thread::sleep(POLL_EVERY),
        }
    };
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Output { code, stdout: text(stdout), stderr: text(stderr) })
}

/// Runs a program that does not end until it has written `count` lines, and kills it; fewer lines after `within`.
///
/// # Errors
/// When it cannot be started.
pub fn first_lines(program: &Path, arguments: &[&str], count: usize, within: Duration) -> io::Result<Vec<String>> {
    let mut child = spawn(program, arguments)?;
    let (sender, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    let deadline = Instant::now() + within;
    let mut first = Vec::new();
    while first.len() < count {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => first.push(line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    end(&mut child);
    Ok(first)
}

fn spawn(program: &Path, arguments: &[&str]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn end(child: &mut Child) -> Option<i32> {
    // It may have ended by itself in the meantime.
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn drain(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            // What was read before an error is still worth showing.
            let _ = source.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The text without addresses, ids, terms and times.
#[must_use]
pub fn comparable(text: &str, address: SocketAddr) -> String {
    let text = text.replace(&address.to_string(), "ENDPOINT");
    text.lines().map(|line| comparable_line(line) + "\n").collect()
}

fn comparable_line(line: &str) -> String {
    // etcdctl's own log lines carry the time and the place in its source.
    let line = if line.starts_with("{\"level\"") { "LOG" } else { line };
    let line = line.split_once("took = ").map_or(line, |(before, _)| before);
    let mut result = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|character: char| character.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(length);
        result.push_str(before);
        let term = result.ends_with("\"raft_term\":") || result.ends_with("\"RaftTerm\" : ");
        result.push_str(if digits.len() >= ID_DIGITS || term { "ID" } else { digits });
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_differ_is_hidden() {
        let address: SocketAddr = ([127, 0, 0, 1], 2379).into();
        let same = |text| comparable(text, address);
        assert_eq!(same("127.0.0.1:2379 is healthy: took = 3ms"), "ENDPOINT is healthy: \n");
        assert_eq!(same("lease 694d7f1a2b3c4d5e granted"), "lease ID granted\n");
        assert_eq!(same("{\"raft_term\":2,\"revision\":12}"), "{\"raft_term\":ID,\"revision\":12}\n");
        assert_eq!(same("foo\nbar 17"), "foo\nbar 17\n");
    }
}
