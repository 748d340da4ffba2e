//! The ways in which the product can stand behind one client address.
//!
//! ```text
//!  Alone     client ─► one process
//!  Members   client ─► a follower of three processes
//!  Split     client ─► one of two gateways ─► three storage nodes
//! ```
//!
//! Several of them have both engines among them, so that neither may show through. Suites that know clients only run on
//! any of them: `METASTORE_FORM=rocksdb`, `members` or `split`; `make test-all` takes one after the other.

use std::env;
use std::io;
use std::net::SocketAddr;

use crate::binary::Program;
use crate::cluster::{self, Cluster};
use crate::process::{Server, StartFailure};
use crate::split::{self, Split};

/// What to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One process.
    Alone(Program),
    /// Three members in a process each.
    Members,
    /// Three storage nodes and two gateways.
    Split,
}

impl Form {
    /// What `METASTORE_FORM` asks for: one process with everything in memory when it says nothing.
    ///
    /// # Panics
    /// When there is no such form.
    #[must_use]
    pub fn of_this_run() -> Self {
        match env::var("METASTORE_FORM").as_deref() {
            Err(_) | Ok("memory") => Self::Alone(Program::MetaStore),
            Ok("rocksdb") => Self::Alone(Program::MetaStoreOnDisk),
            Ok("members") => Self::Members,
            Ok("split") => Self::Split,
            Ok(other) => panic!("METASTORE_FORM={other}: memory, rocksdb, members or split"),
        }
    }
}

/// What was started.
pub struct Deployment {
    processes: Processes,
    client: SocketAddr,
}

enum Processes {
    Alone(Box<Server>),
    Members(Cluster),
    Split(Split),
}

impl Deployment {
    /// Starts a form with an empty store; `flags` are for those processes that serve clients.
    ///
    /// # Errors
    /// When a process does not start in time.
    pub async fn start(form: Form, flags: &[&str]) -> Result<Self, StartFailure> {
        let processes = match form {
            Form::Alone(program) => Processes::Alone(Box::new(Server::start(program, flags).await?)),
            Form::Members => Processes::Members(Cluster::start(&cluster::MIXED, flags).await?),
            Form::Split => Processes::Split(Split::start(&split::MIXED, 2, flags).await?),
        };
        let client = match &processes {
            Processes::Alone(server) => server.client(),
            // A follower has more to do for its clients than the leader.
            Processes::Members(cluster) => cluster.members[(cluster.leader().await? + 1) % 3].client(),
            Processes::Split(split) => split.gateways[0].client(),
        };
        Ok(Self { processes, client })
    }

    /// Where clients are served.
    #[must_use]
    pub const fn client(&self) -> SocketAddr {
        self.client
    }

    /// How the first process ended that has, with the tail of its log.
    pub fn ended(&mut self) -> Option<String> {
        let servers: Vec<&mut Server> = match &mut self.processes {
            Processes::Alone(server) => vec![server],
            Processes::Members(cluster) => cluster.members.iter_mut().collect(),
            Processes::Split(split) => split.storenodes.iter_mut().chain(&mut split.gateways).collect(),
        };
        servers.into_iter().find_map(|server| {
            let status = server.exited()?;
            Some(format!("a process ended with {status}: {}", server.log_tail()))
        })
    }

    /// Resident memory of the process that serves [`Deployment::client`], in bytes.
    ///
    /// # Errors
    /// As [`Server::resident`].
    pub fn resident(&self) -> io::Result<u64> {
        let servers: &[Server] = match &self.processes {
            Processes::Alone(server) => std::slice::from_ref(server),
            Processes::Members(cluster) => &cluster.members,
            Processes::Split(split) => &split.gateways,
        };
        let serves = |server: &&Server| server.client() == self.client;
        servers.iter().find(serves).ok_or(io::ErrorKind::NotFound)?.resident()
    }
}
