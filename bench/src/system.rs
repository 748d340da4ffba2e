//! The two systems, and the processes that each consists of in every form.
//!
//! ```text
//!  form      etcd                          metastore
//!  one       1 member                      1 member
//!  rocksdb   1 member                      1 member, data on disk
//!  three     3 members                     3 members
//!  split     3 members                     3 storage nodes, 2 gateways
//! ```
//!
//! Invariant: members of both are started by the same code, so neither gets a flag that the other does not, but for
//! the engine.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::server::{Launch, Servers};

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    #[default]
    One,
    RocksDb,
    Three,
    Split,
}

impl Form {
    pub(crate) const ALL: [(&'static str, Self); 4] =
        [("one", Self::One), ("rocksdb", Self::RocksDb), ("three", Self::Three), ("split", Self::Split)];

    const fn members(self) -> usize {
        match self {
            Self::One | Self::RocksDb => 1,
            Self::Three | Self::Split => 3,
        }
    }
}

const GATEWAYS: usize = 2;
/// What storage nodes and gateways know each other by; they talk on loopback only.
const TOKEN: &str = "--initial-cluster-token=compare";

/// A program and what it calls itself.
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    program: PathBuf,
    is_etcd: bool,
}

impl System {
    /// The measure.
    pub(crate) fn etcd(program: &Path) -> Result<Self> {
        Self::new("etcd", program, true)
    }

    /// What is measured; its storage nodes and gateways stand beside it.
    pub(crate) fn metastore(program: &Path) -> Result<Self> {
        Self::new("metastore", program, false)
    }

    /// Asks the program for its version. metastore also says which etcd's behaviour it has; its own line counts.
    fn new(name: &'static str, program: &Path, is_etcd: bool) -> Result<Self> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let own_line = text.lines().find(|line| line.starts_with("MetaStore Version"));
        let version = own_line.or(text.lines().next()).unwrap_or("unknown version").trim().to_owned();
        Ok(Self { name, version, program: program.to_owned(), is_etcd })
    }

    /// Starts it with empty data directories below `directory`, and waits until it serves.
    pub(crate) fn start(&self, form: Form, directory: &Path) -> Result<Servers> {
        let (launches, endpoints) = match form {
            Form::Split if !self.is_etcd => self.split(form.members())?,
            Form::RocksDb if !self.is_etcd => self.members(form.members(), &["--storage=rocksdb"])?,
            _ => self.members(form.members(), &[])?,
        };
        Servers::start(&launches, endpoints.join(","), directory)
    }

    fn members(&self, count: usize, flags: &[&str]) -> Result<(Vec<Launch>, Vec<String>)> {
        let [peers, clients] = split_off(free_addresses(2 * count)?, count);
        let cluster = cluster(&peers);
        let launches = peers.iter().zip(&clients).enumerate().map(|(index, (peer, client))| {
            let mut arguments = vec![
                format!("--name=m{index}"),
                format!("--listen-client-urls=http://{client}"),
                format!("--advertise-client-urls=http://{client}"),
                format!("--listen-peer-urls=http://{peer}"),
                format!("--initial-advertise-peer-urls=http://{peer}"),
                format!("--initial-cluster={cluster}"),
            ];
            arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
            let (kind, program, probe) = (self.name, self.program.clone(), client.clone());
            Launch { kind, index, program, arguments, keeps_data: true, probe }
        });
        Ok((launches.collect(), clients))
    }

    fn split(&self, count: usize) -> Result<(Vec<Launch>, Vec<String>)> {
        let [of_nodes, of_gateways] = split_off(free_addresses(2 * count + 2 * GATEWAYS)?, 2 * count);
        let [peers, probes] = split_off(of_nodes, count);
        let [clients, operations] = split_off(of_gateways, GATEWAYS);
        let cluster = cluster(&peers);
        let mut launches = Vec::new();
        for (index, (peer, probe)) in peers.iter().zip(probes).enumerate() {
            let arguments = vec![
                format!("--name=m{index}"),
                format!("--listen-peer-urls=http://{peer}"),
                format!("--initial-advertise-peer-urls=http://{peer}"),
                format!("--initial-cluster={cluster}"),
                format!("--listen-metrics-urls=http://{probe}"),
                TOKEN.to_owned(),
            ];
            let (kind, program) = ("storenode", self.program.with_file_name("storenode"));
            launches.push(Launch { kind, index, program, arguments, keeps_data: true, probe });
        }
        let seeds = peers.iter().map(|peer| format!("http://{peer}")).collect::<Vec<_>>().join(",");
        for (index, (client, operations)) in clients.iter().zip(operations).enumerate() {
            let arguments = vec![
                format!("--storenodes={seeds}"),
                format!("--listen-client-urls=http://{client}"),
                format!("--listen-metrics-urls=http://{operations}"),
                TOKEN.to_owned(),
            ];
            let (kind, program) = ("gateway", self.program.with_file_name("gateway"));
            launches.push(Launch { kind, index, program, arguments, keeps_data: false, probe: client.clone() });
        }
        Ok((launches, clients))
    }
}

/// Where members find each other, as a flag has it.
fn cluster(peers: &[String]) -> String {
    let named = |(index, peer): (usize, &String)| format!("m{index}=http://{peer}");
    peers.iter().enumerate().map(named).collect::<Vec<_>>().join(",")
}

fn split_off(mut addresses: Vec<String>, at: usize) -> [Vec<String>; 2] {
    let rest = addresses.split_off(at);
    [addresses, rest]
}

/// Free at this moment. Both systems need their ports as flags, before they listen.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    // All held until all are known, so that no two are the same.
    let held = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<std::io::Result<Vec<_>>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.to_string())).collect()
}
