//! What can be chosen. `scripts/compare.sh` fills in the programs.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};

use crate::system::Form;

pub(crate) struct Options {
    pub(crate) etcd: PathBuf,
    pub(crate) etcdctl: PathBuf,
    pub(crate) benchmark: PathBuf,
    pub(crate) metastore: PathBuf,
    /// Where servers keep their data and results are written.
    pub(crate) directory: PathBuf,
    pub(crate) rounds: NonZeroUsize,
    pub(crate) quick: bool,
    pub(crate) form: Form,
    /// Parts of workload names; empty for all.
    pub(crate) only: Vec<String>,
    pub(crate) list: bool,
    /// Results that CPU ratios are held against.
    pub(crate) against: Option<PathBuf>,
}

/// The options of this process; prints help or a usage error and exits where clap does.
pub(crate) fn parse() -> Options {
    let mut matches = command().get_matches();
    let mut path = |name| matches.remove_one::<PathBuf>(name).expect("clap refuses a missing required option");
    Options {
        etcd: path("etcd"),
        etcdctl: path("etcdctl"),
        benchmark: path("benchmark"),
        metastore: path("metastore"),
        directory: path("directory"),
        rounds: matches.remove_one("rounds").expect("the option has a default"),
        quick: matches.get_flag("quick"),
        form: matches
            .remove_one::<String>("form")
            .and_then(|name| Form::ALL.into_iter().find_map(|(known, form)| (known == name).then_some(form)))
            .expect("clap admits the names of forms only, and the option has a default"),
        only: matches.remove_many("only").map(Iterator::collect).unwrap_or_default(),
        list: matches.get_flag("list"),
        against: matches.remove_one("against"),
    }
}

fn command() -> Command {
    let required = |name: &'static str, help| option(name, help, value_parser!(PathBuf)).required(true);
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue);
    let rounds = "How often each workload runs on each system; fewer than five say little";
    Command::new("compare").about("Side-by-side load against a real etcd").args([
        required("etcd", "The real etcd"),
        required("etcdctl", "The etcdctl of the same version"),
        required("benchmark", "etcd's load tool"),
        required("metastore", "This project's server"),
        required("directory", "Where servers keep their data and results are written: on a real disk"),
        option("rounds", rounds, value_parser!(NonZeroUsize)).default_value("5"),
        option("form", "What is compared, and with what", PossibleValuesParser::new(Form::ALL.map(|(name, _)| name)))
            .default_value("one"),
        option("only", "Only workloads whose name contains this; may be repeated", ValueParser::string())
            .action(ArgAction::Append),
        option("against", "Fail where CPU per operation is 15 % worse than in these results", value_parser!(PathBuf)),
        flag("quick", "A tenth of the requests, and no memory measurement beyond 100k keys"),
        flag("list", "Name the workloads and stop"),
    ])
}

fn option(name: &'static str, help: &'static str, parser: impl Into<ValueParser>) -> Arg {
    Arg::new(name).long(name).help(help).value_parser(parser.into())
}

#[test]
fn the_command_is_consistent() {
    command().debug_assert();
}
