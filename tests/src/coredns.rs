//! A CoreDNS whose zone is what a cluster holds under `/skydns`, by the etcd plugin.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::binary::Program;
use crate::dns::{Answer, Code, MAX_DATAGRAM, Question};
use crate::ports::free_port;
use crate::process::{Server, StartFailure};

/// The zone that it serves.
pub const ZONE: &str = "test.";

/// Longer than the plugin waits for a cluster, after which it answers SERVFAIL.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a question is asked that is answered SERVFAIL.
const ASKED_AT_MOST: usize = 20;

/// A running CoreDNS.
pub struct CoreDns {
    process: Server,
    /// Where it answers.
    pub address: SocketAddr,
}

impl CoreDns {
    /// Starts one before these servers and waits until it listens.
    ///
    /// # Errors
    /// When it does not; with the tail of its log.
    pub async fn start(servers: &[SocketAddr]) -> Result<Self, StartFailure> {
        let mut coredns = Self::prepare(servers)?;
        coredns.process.restart().await?;
        Ok(coredns)
    }

    fn prepare(servers: &[SocketAddr]) -> std::io::Result<Self> {
        let (address, health) = (free_port()?, free_port()?);
        let mut process = Server::assemble(Program::CoreDns, health, Vec::new())?;
        let corefile = process.directory().join("Corefile");
        std::fs::write(&corefile, configuration(address, health, servers))?;
        process.add_flags(&["-conf", &corefile.to_string_lossy()]);
        Ok(Self { process, address })
    }

    /// Asks once, and again as long as it says that it cannot find out.
    ///
    /// # Errors
    /// When it does not answer, or never anything else; with the tail of its log.
    pub async fn ask(&self, question: &Question) -> Result<Answer, StartFailure> {
        for id in 0..u16::try_from(ASKED_AT_MOST).expect("a small number") {
            match tokio::time::timeout(ANSWER_WITHIN, ask(self.address, question, id)).await {
                Ok(Ok(answer)) if answer.code == Code::ServerFailure => {}
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => return Err(self.process.failure(&error.to_string())),
                Err(_) => break,
            }
        }
        Err(self.process.failure(&format!("does not answer {question:?}")))
    }

    /// The lines of its log that tell of a question it could not answer.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.process.log().lines().filter(|line| line.contains("[ERROR]")).map(str::to_owned).collect()
    }
}

/// A Corefile.
fn configuration(address: SocketAddr, health: SocketAddr, servers: &[SocketAddr]) -> String {
    let (ip, port) = (address.ip(), address.port());
    let endpoints: Vec<_> = servers.iter().map(|server| format!("http://{server}")).collect();
    let endpoints = endpoints.join(" ");
    format!("{ZONE}:{port} {{\n bind {ip}\n health {health}\n errors\n etcd {{\n  endpoint {endpoints}\n }}\n}}\n")
}

async fn ask(server: SocketAddr, question: &Question, id: u16) -> std::io::Result<Answer> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question.encode(id)).await?;
    let mut datagram = [0; MAX_DATAGRAM];
    let length = socket.recv(&mut datagram).await?;
    let answer = Answer::decode(&datagram[..length]).filter(|answer| answer.id == id);
    answer.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
