//! `--help` and `--version`, made from the option table.

use std::fmt::Write as _;

use crate::options::{self, Effect, OptionSpec, Section};

/// The etcd version whose behaviour is promised; clients and tools decide by it.
pub const ETCD_VERSION: &str = "3.7.3";

const USAGE: &str = "\
Usage:

  metastore [flags]
    Start a member. Flags take one or two dashes; --flag=value and --flag value are the same.

  metastore --print-config
    Show every option's value and where it comes from.

Every option is also read from METASTORE_<NAME> in the environment and, where etcd has it, from
ETCD_<NAME>; from this project's file (--config) or etcd's (--config-file).
";

/// The text of `--help`.
pub fn help() -> String {
    let mut text = USAGE.to_owned();
    let mut sections: Vec<Section> = options::all().map(|spec| spec.section).collect();
    sections.sort_unstable();
    sections.dedup();
    for section in sections.into_iter().filter(|&section| section != Section::Retired) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}:\n", title(section));
        for spec in options::all().filter(|spec| spec.section == section) {
            let _ = write!(text, "  --{} '{}'\n    {}{}\n", spec.name, spec.default, spec.doc, remark(spec));
        }
    }
    text
}

fn title(section: Section) -> &'static str {
    match section {
        Section::Program => "Program",
        Section::Member => "Member",
        Section::Clustering => "Clustering",
        Section::Security => "Security",
        Section::Auth => "Auth",
        Section::Monitoring => "Monitoring",
        Section::Logging => "Logging",
        Section::Features => "Features",
        Section::Unsafe => "Unsafe",
        Section::Legacy => "Names of the earlier product",
        Section::Retired => "Ignored by etcd itself",
    }
}

fn remark(spec: &OptionSpec) -> &'static str {
    match spec.effect {
        Effect::Works => "",
        Effect::NoMeaning | Effect::Retired => " (Accepted, ignored.)",
        Effect::Later => " (No effect yet.)",
        Effect::RefusedSecurity(_) | Effect::RefusedCluster => " (Refused: not built in yet.)",
    }
}

/// The text of `--version`: etcd's four lines, which tools read, and this product's own.
pub fn version() -> String {
    let commit = option_env!("METASTORE_GIT_SHA").unwrap_or("not recorded in this build");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!(
        "etcd Version: {ETCD_VERSION}\nGit SHA: {commit}\nGo Version: none, built with Rust {}+\n\
         Go OS/Arch: {}/{architecture}\nMetaStore Version: {}\n",
        env!("CARGO_PKG_RUST_VERSION"),
        std::env::consts::OS,
        env!("CARGO_PKG_VERSION"),
    )
}
