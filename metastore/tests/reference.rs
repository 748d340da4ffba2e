//! The option table against its own rules, against etcd's flags, and against the files we ship.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use metastore::config::Config;
use metastore::options::{self, Effect};
use metastore::role::{EVERY, Role};
use metastore::settings::Settings;
use metastore::sources::SourceError;
use metastore::value::Kind;
use metastore::{files, help};

/// Name and default of every flag of etcd 3.7.3, read from its `--help`.
const ETCD_FLAGS: &str = include_str!("etcd-3.7-flags.txt");

fn etcd_flags() -> impl Iterator<Item = (&'static str, &'static str)> {
    ETCD_FLAGS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once(' ').unwrap_or((line, "")))
}

fn gather(flags: &[&str]) -> Settings {
    gather_for(Role::MetaStore, flags).unwrap()
}

fn gather_for(role: Role, flags: &[&str]) -> Result<Settings, SourceError> {
    let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
    Settings::gather(role, &flags, &BTreeMap::new(), |path| std::fs::read_to_string(path))
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
        assert!(spec.doc.ends_with('.'), "--{} needs a sentence", spec.name);
        assert!(!spec.roles.is_empty(), "--{} is of no program", spec.name);
        for &role in EVERY {
            let default = spec.default_of(role);
            assert_eq!(spec.kind.check_syntax(default), Ok(()), "--{} of {}", spec.name, role.program());
            assert_eq!(spec.kind.check_choice(default), Ok(()), "--{} of {}", spec.name, role.program());
            let shown = spec.is_of(role) && spec.effect != Effect::Retired;
            let heading = format!("  --{} '{default}'\n", spec.name);
            assert_eq!(help::help(role).contains(&heading), shown, "--{} of {}", spec.name, role.program());
        }
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
            let mut settings = Settings::gather(Role::MetaStore, form, &BTreeMap::new(), |_| unreachable!()).unwrap();
            settings.check().unwrap();
            assert_eq!(settings.text(flag), default, "{form:?}");
        }
        let variable = format!("ETCD_{}", flag.to_uppercase().replace('-', "_"));
        let variables = BTreeMap::from([(variable, default.to_owned())]);
        let settings = Settings::gather(Role::MetaStore, &[], &variables, |_| unreachable!()).unwrap();
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
    for &role in EVERY {
        let file = format!("--config={folder}/{}.yaml", role.program());
        let mut settings = gather_for(role, &[&file]).unwrap();
        settings.check().unwrap();
        let config = Config::from_settings(&settings, None).unwrap();
        assert_eq!(config.warnings, Vec::<String>::new());
        // It documents the defaults, so it must not change them.
        let defaults = gather_for(role, &[]).unwrap();
        for spec in options::of(role).filter(|spec| spec.allowed_in_files()) {
            let same = spec.kind.same(settings.text(spec.name), defaults.text(spec.name));
            assert!(same || DOCUMENTED.contains(&spec.name), "{} of {}", spec.name, role.program());
        }
    }
}

/// Options whose default depends on others, so that the files write out what comes of it.
const DOCUMENTED: [&str; 6] = [
    "listen-client-urls",
    "advertise-client-urls",
    "listen-peer-urls",
    "initial-advertise-peer-urls",
    "log-outputs",
    "data-dir",
];

/// A flag of each kind of program, given to all of them.
#[test]
fn a_program_refuses_what_is_another_ones_by_name() {
    for (flag, roles, owners) in [
        ("storenodes=http://localhost:2380", &[Role::Gateway][..], "gateway"),
        ("listen-store-urls=http://127.0.0.1:2390", &[Role::StoreNode], "storenode"),
        ("listen-client-urls=http://127.0.0.1:2379", &[Role::MetaStore, Role::Gateway], "metastore and gateway"),
        ("data-dir=d", &[Role::MetaStore, Role::StoreNode], "metastore and storenode"),
    ] {
        let (name, value) = flag.split_once('=').unwrap();
        for &role in EVERY {
            let on_the_line = gather_for(role, &[&format!("--{flag}")]);
            let path = options::named(name).product_file_paths().remove(0);
            let in_a_file = files::parse(role, files::Format::Product, &nested(&path, value));
            if roles.contains(&role) {
                assert!(on_the_line.is_ok() && in_a_file.is_ok(), "--{name} of {}", role.program());
                continue;
            }
            let program = role.program();
            let sentence = format!("-{name} is an option of {owners}, not of {program}: give it to that program");
            assert_eq!(on_the_line.unwrap_err().to_string(), sentence);
            let reason = in_a_file.unwrap_err().to_string();
            assert!(reason.contains(&format!("is an option of {owners}, not of {program}")), "{reason}");
        }
        let variable = format!("METASTORE_{}", name.to_uppercase().replace('-', "_"));
        let variables = BTreeMap::from([(variable, value.to_owned())]);
        for &role in EVERY {
            let settings = Settings::gather(role, &[], &variables, |_| unreachable!()).unwrap();
            assert_eq!(
                (settings.is_set(name), settings.warnings.len()),
                match roles.contains(&role) {
                    true => (true, 0),
                    false => (false, 1),
                }
            );
        }
    }
}

#[test]
fn a_storage_node_without_a_token_is_for_its_own_machine() {
    let refusal = |role, flags: &[&str]| {
        let settings = gather_for(role, flags).unwrap();
        Config::from_settings(&settings, None).err().map(|error| error.to_string())
    };
    let open = "--listen-peer-urls=http://0.0.0.0:2380";
    let reason = refusal(Role::StoreNode, &[open]).unwrap();
    assert!(reason.starts_with("storenode would serve everybody who reaches 0.0.0.0:2380"), "{reason}");
    assert!(refusal(Role::StoreNode, &[open, "--initial-cluster-token="]).is_some());
    assert!(refusal(Role::StoreNode, &["--listen-store-urls=http://192.0.2.1:2390"]).is_some());
    assert_eq!(refusal(Role::StoreNode, &[]), None);
    assert_eq!(refusal(Role::StoreNode, &[open, "--initial-cluster-token=secret"]), None);
    assert_eq!(refusal(Role::MetaStore, &[open]), None);
}

#[test]
fn every_option_can_be_set_by_both_files() {
    for spec in options::all().filter(|spec| spec.allowed_in_files() && !spec.default.is_empty()) {
        for path in spec.product_file_paths() {
            let read = files::parse(spec.roles[0], files::Format::Product, &nested(&path, spec.default)).unwrap();
            assert_eq!(read.values[0].name, spec.name, "{path}");
        }
        if !matches!(spec.kind, Kind::Duration) {
            let path = spec.etcd_file_path();
            let read = files::parse(spec.roles[0], files::Format::Etcd, &nested(path, spec.default)).unwrap();
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
