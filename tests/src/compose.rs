//! The containers of `docker-compose.yml`, brought up as a project of their own.
//!
//! ```text
//!  test ──docker compose──► containers        clients ──► the balancer's published port
//!       └─────────── HTTP to a container's own address ───────────┘
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

/// A project's name, and the port that its balancer publishes.
pub struct Compose {
    project: &'static str,
    port: u16,
    environment: Vec<(&'static str, String)>,
}

impl Compose {
    /// Starts nothing yet. The environment is what users write into `.env`.
    #[must_use]
    pub fn new(project: &'static str, port: u16, environment: &[(&'static str, &str)]) -> Self {
        let mut environment: Vec<_> = environment.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        environment.push(("CLIENT_PORT", port.to_string()));
        Self { project, port, environment }
    }

    /// Where clients are served.
    #[must_use]
    pub const fn client(&self) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// Runs a command of `docker compose`; what it printed.
    ///
    /// # Errors
    /// Its own words, when it fails.
    pub fn run(&self, arguments: &[&str]) -> io::Result<String> {
        let mut command = Command::new("docker");
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        command.args(["compose", "--project-name", self.project]).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        output(&mut command)
    }

    /// The containers of a service that run.
    ///
    /// # Errors
    /// As [`Compose::run`].
    pub fn containers(&self, service: &str) -> io::Result<Vec<Container>> {
        let ids = self.run(&["ps", "--quiet", service])?;
        ids.lines().map(|id| Container::find(id, self.project)).collect()
    }
}

/// One that runs.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its address, reachable from this host only.
    pub address: Ipv4Addr,
}

impl Container {
    fn find(id: &str, project: &str) -> io::Result<Self> {
        let format = format!("{{{{.Name}}}} {{{{(index .NetworkSettings.Networks \"{project}_default\").IPAddress}}}}");
        let found = docker(&["inspect", "--format", &format, id])?;
        let parsed = found.trim().trim_start_matches('/').split_once(' ');
        let parsed = parsed.and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)));
        let (name, address) = parsed.ok_or_else(|| io::Error::other(format!("docker inspect {id}: {found}")))?;
        Ok(Self { name, address })
    }

    /// One of its ports.
    #[must_use]
    pub const fn port(&self, port: u16) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(self.address), port)
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// As [`Compose::run`].
    pub fn kill(&self) -> io::Result<()> {
        docker(&["kill", &self.name]).map(drop)
    }

    /// Starts it again, with what was on its disk.
    ///
    /// # Errors
    /// As [`Compose::run`].
    pub fn start(&self) -> io::Result<()> {
        docker(&["start", &self.name]).map(drop)
    }
}

/// Runs docker; what it printed.
///
/// # Errors
/// Its own words, when it fails.
pub fn docker(arguments: &[&str]) -> io::Result<String> {
    output(Command::new("docker").args(arguments))
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}: {said}", output.status)))
}
