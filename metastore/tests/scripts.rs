//! Runs the scripts of `testscripts`: what command lines, environments and files come to.
//!
//! `env NAME VALUE` and `file NAME TEXT` prepare; `settings FLAGS…` shows what was set and what the
//! operator hears; `start FLAGS…` shows what the process would do.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use metastore::config::Config;
use metastore::options;
use metastore::settings::Settings;
use metastore::sources::SourceError;

test_each_file::test_each_path! { in "./metastore/testscripts" => run }

/// The address of the default route in every script.
const DEFAULT_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn run(path: &std::path::Path) {
    goldenscript::run(&mut Runner::default(), path).unwrap();
}

#[derive(goldenscript::Command)]
enum Command {
    /// Sets an environment variable for what follows.
    Env(String, String),
    /// Writes a file for what follows.
    File(String, String),
    /// Gathers settings.
    Settings(#[arg(optional)] Vec<String>),
    /// Gathers settings and turns them into a configuration.
    Start(#[arg(optional)] Vec<String>),
}

#[derive(Default)]
struct Runner {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Runner {
    /// Gathers and checks, and shows what `show` makes of the settings or why they are refused.
    fn gather(&self, flags: &[String], show: fn(&Settings) -> String) -> String {
        let read = |path: &str| self.files.get(path).cloned().ok_or_else(|| io::Error::from_raw_os_error(2));
        let mut settings = match Settings::gather(flags, &self.variables, read) {
            Ok(settings) => settings,
            Err(SourceError::Flag(error)) => return format!("exit {}: {error}\n", error.exit_code()),
            Err(error) => return format!("exit 1: {error}\n"),
        };
        settings.check().map_or_else(|error| format!("exit 1: {error}\n"), |()| show(&settings))
    }
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &goldenscript::Context) -> Result<String, Box<dyn Error>> {
        match command {
            Command::Env(name, value) => drop(self.variables.insert(name.clone(), value.clone())),
            Command::File(name, text) => drop(self.files.insert(name.clone(), text.clone())),
            Command::Settings(flags) => return Ok(self.gather(flags, show)),
            Command::Start(flags) => return Ok(self.gather(flags, plan)),
        }
        Ok(String::new())
    }
}

fn show(settings: &Settings) -> String {
    let mut text = String::new();
    for spec in options::all().filter(|spec| settings.is_set(spec.name)) {
        writeln!(text, "{} = {:?} ({})", spec.name, settings.text(spec.name), settings.origin(spec.name)).unwrap();
    }
    for warning in &settings.warnings {
        writeln!(text, "warning: {warning}").unwrap();
    }
    text
}

fn plan(settings: &Settings) -> String {
    let config = match Config::from_settings(settings, Some(DEFAULT_HOST)) {
        Ok(config) => config,
        Err(error) => return format!("exit 1: {error}\n"),
    };
    let founding = match config.bootstrap.found() {
        Ok(founding) => founding,
        Err(error) => return format!("exit 1: {error}\n"),
    };
    let listen: Vec<_> = config
        .listen
        .iter()
        .map(|listen| format!("{}{}", listen.address, if listen.required { "" } else { " if free" }))
        .collect();
    let mut text = String::new();
    writeln!(text, "listen {}, advertise {}", listen.join(", "), config.client_urls.join(", ")).unwrap();
    for member in &founding.members {
        let (peers, own) = (member.peer_urls.join(", "), member.id == founding.member_id);
        writeln!(text, "{} {} {} at {peers}", if own { "member" } else { "peer" }, member.name, member.id.0).unwrap();
    }
    let asked: Vec<_> = config.listen_peers.iter().filter(|listen| listen.asked).collect();
    if founding.members.len() > 1 {
        let listen: Vec<_> = asked.iter().map(|listen| listen.address.to_string()).collect();
        writeln!(text, "listen to peers at {}", listen.join(", ")).unwrap();
    }
    writeln!(text, "cluster {}, data in {}", founding.cluster_id.0, config.data_dir.display()).unwrap();
    for warning in &config.warnings {
        writeln!(text, "warning: {warning}").unwrap();
    }
    text
}
