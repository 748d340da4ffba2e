//! The option table against its own rules, against etcd's flags, and against the files we ship.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use metastore::config::Config;
use metastore::options::{self, Effect};
use metastore::settings::Settings;
use metastore::value::Kind;
use metastore::{files, help};

/// Name and default of every flag of etcd 3.7.3, read from its `--help`.
const ETCD_FLAGS: &str = include_str!("etcd-3.7-flags.txt");

fn etcd_flags() -> impl Iterator<Item = (&'static str, &'static str)> {
    ETCD_FLAGS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once(' ').unwrap_or((line, "")))
}

fn gather(flags: &[&str]) -> Settings {
    let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
    Settings::gather(&flags, &BTreeMap::new(), |path| std::fs::read_to_string(path)).unwrap()
}

#[test]
fn no_two_options_share_a_name() {
    let mut seen = HashSet::new();
    for spec in options::all() {
        let flags = spec.aliases.iter().chain([&spec.name]).map(|flag| format!("--{flag}"));
        let paths = spec.product_file_paths().into_iter().map(|path| format!("ours {path}"));
        let etcds = format!("etcd's {}", spec.etcd_file_path());
        for name in flags.chain(spec.environment_names()).chain(paths).chain([etcds]) {
            assert!(seen.insert(name.clone()), "{name} belongs to two options");
        }
    }
}

#[test]
fn every_default_is_a_value_and_every_option_is_explained() {
    for spec in options::all() {
        assert_eq!(spec.kind.check_syntax(spec.default), Ok(()), "--{}", spec.name);
        assert_eq!(spec.kind.check_choice(spec.default), Ok(()), "--{}", spec.name);
        assert!(spec.doc.ends_with('.'), "--{} needs a sentence", spec.name);
        assert!(spec.effect == Effect::Retired || help::help().contains(&format!("--{} ", spec.name)));
    }
}

#[test]
fn every_flag_of_etcd_is_accepted_with_its_default_in_every_form() {
    let mut count = 0;
    for (flag, default) in etcd_flags() {
        let forms: [Vec<String>; 3] = [
            vec![format!("--{flag}={default}")],
            vec![format!("-{flag}={default}")],
            vec![format!("--{flag}"), default.to_owned()],
        ];
        let bare = options::by_flag(flag).is_some_and(|spec| spec.kind.is_bare());
        for form in forms.iter().take(if bare { 2 } else { 3 }) {
            let mut settings = Settings::gather(form, &BTreeMap::new(), |_| unreachable!()).unwrap();
            settings.check().unwrap();
            assert_eq!(settings.text(flag), default, "{form:?}");
        }
        let variable = format!("ETCD_{}", flag.to_uppercase().replace('-', "_"));
        let variables = BTreeMap::from([(variable, default.to_owned())]);
        let settings = Settings::gather(&[], &variables, |_| unreachable!()).unwrap();
        assert_eq!(settings.is_set(flag), !default.is_empty(), "--{flag} from the environment");
        count += 1;
    }
    assert_eq!(count, 111);
}

#[test]
fn defaults_are_etcds() {
    let settings = gather(&[]);
    for (flag, default) in etcd_flags() {
        assert_eq!(settings.text(flag), default, "--{flag}");
    }
}

#[test]
fn the_files_we_ship_load_without_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs");
    let file = format!("--config={folder}/metastore.yaml");
    let mut settings = gather(&[&file]);
    settings.check().unwrap();
    let config = Config::from_settings(&settings, None).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    // It documents the defaults, so it must not change them.
    let defaults = gather(&[]);
    for spec in options::all().filter(|spec| spec.allowed_in_files()) {
        let documented =
            matches!(spec.name, "listen-client-urls" | "advertise-client-urls" | "log-outputs" | "data-dir");
        assert!(documented || spec.kind.same(settings.text(spec.name), defaults.text(spec.name)), "{}", spec.name);
    }
}

#[test]
fn every_option_can_be_set_by_both_files() {
    for spec in options::all().filter(|spec| spec.allowed_in_files() && !spec.default.is_empty()) {
        for path in spec.product_file_paths() {
            let read = files::parse(files::Format::Product, &nested(&path, spec.default)).unwrap();
            assert_eq!(read.values[0].name, spec.name, "{path}");
        }
        if !matches!(spec.kind, Kind::Duration) {
            let path = spec.etcd_file_path();
            let read = files::parse(files::Format::Etcd, &nested(path, spec.default)).unwrap();
            assert_eq!(read.values[0].name, spec.name, "{path}");
        }
    }
}

fn nested(path: &str, value: &str) -> String {
    let mut text = String::new();
    for (depth, key) in path.split('.').enumerate() {
        text.push_str(&format!("\n{}{key}:", "  ".repeat(depth)));
    }
    format!("{text} '{value}'\n")
}

#[test]
fn print_config_shows_values_origins_and_no_secret() {
    let printed = gather(&["--name=m1", "--discovery-password=hush"]).print();
    assert!(printed.contains("name = \"m1\"  # --name\n"), "{printed}");
    assert!(printed.contains("max-txn-ops = \"128\"  # default\n"), "{printed}");
    assert!(!printed.contains("hush"), "{printed}");
}
