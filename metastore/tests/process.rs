//! The program itself: exit codes, and what goes to which stream.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::{Command, Output};

const PROGRAMS: [(&str, &str); 3] = [
    ("metastore", env!("CARGO_BIN_EXE_metastore")),
    ("storenode", env!("CARGO_BIN_EXE_storenode")),
    ("gateway", env!("CARGO_BIN_EXE_gateway")),
];

fn run(path: &str, arguments: &[&str]) -> Output {
    Command::new(path).args(arguments).env_clear().env("RUST_BACKTRACE", "1").output().unwrap()
}

fn metastore(arguments: &[&str]) -> Output {
    run(PROGRAMS[0].1, arguments)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn version_has_etcds_lines_first() {
    for flag in ["--version", "-version", "--version=true"] {
        let output = metastore(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        let lines: Vec<_> = text(&output.stdout).lines().collect();
        assert_eq!(lines[0], "etcd Version: 3.7.3");
        let labels: Vec<_> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(labels, ["etcd Version", "Git SHA", "Go Version", "Go OS/Arch", "MetaStore Version"]);
    }
}

#[test]
fn help_goes_to_stdout() {
    for flag in ["--help", "-h", "--h"] {
        let output = metastore(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("--initial-cluster-token 'etcd-cluster'"));
    }
}

#[test]
fn every_program_explains_itself() {
    for (name, path) in PROGRAMS {
        let help = run(path, &["--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(text(&help.stdout).starts_with(&format!("Usage:\n\n  {name} ")), "{}", text(&help.stdout));
        assert_eq!(run(path, &["--version"]).stdout, metastore(&["--version"]).stdout);
        let has_data = text(&run(path, &["--print-config"]).stdout).contains("data-dir = ");
        assert_eq!(has_data, name != "gateway");
    }
}

#[test]
fn print_config_starts_nothing() {
    let output = metastore(&["--print-config", "--name=m1"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("storage = \"memory\"  # default\n"));
    assert!(text(&output.stdout).contains("\nname = \"m1\"  # --name\n"));
}

#[test]
fn a_refusal_is_one_sentence_on_stderr() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let grpc_port = format!("--grpc-port={port}");
    for (arguments, code, sentence) in [
        (&["--nosuch"][..], 2, "flag provided but not defined: -nosuch"),
        (&["extra"], 1, "\"extra\" is not a valid flag"),
        (&["--auto-tls"], 1, "--auto-tls asks for TLS for clients"),
        (&["--log-outputs=/proc/nowhere/log"], 1, "log file /proc/nowhere/log cannot be written"),
        (&[&grpc_port, "--data-dir=/dev/null"], 1, &format!("port {port} is taken by process")),
    ] {
        let output = metastore(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(text(&output.stdout), "");
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with(sentence) && stderr.lines().count() == 1, "{stderr}");
    }
}
