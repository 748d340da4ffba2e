//! `--help` and `--version`, made from the option table.

use std::fmt::Write as _;

use crate::options::{self, Effect, OptionSpec, Section};
use crate::role::Role;

/// The etcd version whose behaviour is promised; clients and tools decide by it.
pub const ETCD_VERSION: &str = "3.7.3";

const METASTORE: &str = "  metastore [flags]
    Start a member: a gateway and a storage node in one process.
";

const STORENODE: &str = "  storenode [flags]
    Start a storage node. Gateways serve the clients.

  storenode status [--endpoint URL] [--output table|json]
    Say how the running node is.

  storenode drain [--endpoint URL]
    Make the running node hand leadership over, and say on /readyz that it may not be given work.

  storenode verify [--data-dir DIR]
    Look at the data of a node that does not run. Changes nothing; ends with 1 if something is damaged.
";

const GATEWAY: &str = "  gateway --storenodes URL,... [flags]
    Start a gateway. It keeps nothing: any number may run behind a load balancer.
";

const SOURCES: &str = "\
Flags take one or two dashes; --flag=value and --flag value are the same. Every option is also read
from METASTORE_<NAME> in the environment and, where etcd has it, from ETCD_<NAME>; from this project's
file (--config) or etcd's (--config-file). --print-config shows every value and where it comes from.
";

/// The text of `--help`.
pub fn help(role: Role) -> String {
    let usage = match role {
        Role::MetaStore => METASTORE,
        Role::StoreNode => STORENODE,
        Role::Gateway => GATEWAY,
    };
    let mut text = format!("Usage:\n\n{usage}\n{SOURCES}");
    let mut sections: Vec<Section> = options::of(role).map(|spec| spec.section).collect();
    sections.sort_unstable();
    sections.dedup();
    for section in sections.into_iter().filter(|&section| section != Section::Retired) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}:\n", title(section));
        for spec in options::of(role).filter(|spec| spec.section == section) {
            let _ = write!(text, "  --{} '{}'\n    {}{}\n", spec.name, spec.default_of(role), spec.doc, remark(spec));
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
    let commit =
        option_env!("METASTORE_GIT_SHA").filter(|commit| !commit.is_empty()).unwrap_or("not recorded in this build");
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
