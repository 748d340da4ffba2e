//! The listening sockets, bound before anything else starts, so that a taken port is told at once.
//!
//! Invariant: a port somebody asked for, or that the process cannot do without, is bound or the
//! start stops; any other is skipped with one warning.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::port_holder::{self, Holder};
use crate::system_reason;

/// Connections the kernel holds until they are accepted; what Linux allows by default.
const BACKLOG: i32 = 4096;

/// One socket to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// Who is served there.
    pub purpose: Purpose,
    /// Whether somebody chose this address.
    pub asked: bool,
    /// Whether the process is of no use without it.
    pub required: bool,
}

/// Who is served at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Clients.
    Clients,
    /// Other members.
    Peers,
}

impl Purpose {
    /// The flags that choose another port.
    const fn port_flags(self) -> &'static str {
        match self {
            Self::Clients => "--listen-client-urls or --grpc-port",
            Self::Peers => "--listen-peer-urls",
        }
    }

    /// The flags that choose another address.
    const fn address_flags(self) -> &'static str {
        match self {
            Self::Clients => "--listen-client-urls or --grpc-addr",
            Self::Peers => "--listen-peer-urls",
        }
    }
}

/// Options of listening sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Let several processes listen on one port.
    pub reuse_port: bool,
}

/// The sockets that are bound, and what the operator should hear about those that are not.
#[derive(Debug)]
pub struct Bound {
    /// Listening, not blocking.
    pub listeners: Vec<TcpListener>,
    /// One sentence per socket that was skipped.
    pub warnings: Vec<String>,
}

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody else has it.
    #[error(
        "port {} is taken{}: stop that process, or move this one's port with {}",
        .wanted.address.port(), by(.holder), .wanted.purpose.port_flags()
    )]
    Taken {
        /// What was asked for.
        wanted: Listen,
        /// Who has it, when that can be seen.
        holder: Option<Holder>,
    },
    /// A low port without the right to it.
    #[error(
        "port {} may not be used by this user: choose one above 1023 with {}",
        .0.address.port(), .0.purpose.port_flags()
    )]
    Denied(Listen),
    /// An address of another machine.
    #[error(
        "address {} does not belong to this machine: choose another with {}",
        .0.address.ip(), .0.purpose.address_flags()
    )]
    NotHere(Listen),
    /// Anything else the system says.
    #[error(
        "cannot listen on {} ({reason}): choose another address with {}",
        .wanted.address, .wanted.purpose.address_flags()
    )]
    Other {
        /// What was asked for.
        wanted: Listen,
        /// What the system said.
        reason: String,
    },
}

fn by(holder: &Option<Holder>) -> String {
    holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default()
}

/// Binds every socket.
///
/// # Errors
/// The first one that cannot be done without.
pub fn bind(listen: &[Listen], options: SocketOptions) -> Result<Bound, PortError> {
    let mut bound = Bound { listeners: Vec::new(), warnings: Vec::new() };
    for wanted in listen {
        match bind_one(wanted.address, options) {
            Ok(listener) => bound.listeners.push(listener),
            Err(error) if wanted.asked || wanted.required => return Err(explain(*wanted, &error)),
            // A machine without IPv6: nothing is wrong.
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                let reason = explain(*wanted, &error);
                bound.warnings.push(format!("{} is skipped, nobody asked for it: {reason}", wanted.address));
            }
        }
    }
    Ok(bound)
}

fn bind_one(address: SocketAddr, options: SocketOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // As Go does on every listener: old connections must not keep a restart waiting.
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn is_absent(error: &io::Error) -> bool {
    const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

fn explain(wanted: Listen, error: &io::Error) -> PortError {
    match error.kind() {
        io::ErrorKind::AddrInUse => PortError::Taken { wanted, holder: port_holder::find(wanted.address.port()) },
        io::ErrorKind::PermissionDenied => PortError::Denied(wanted),
        io::ErrorKind::AddrNotAvailable => PortError::NotHere(wanted),
        _ => PortError::Other { wanted, reason: system_reason(error) },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn asked(address: SocketAddr, purpose: Purpose) -> Listen {
        Listen { address, purpose, asked: true, required: true }
    }

    #[test]
    fn a_taken_port_names_its_holder_and_the_way_out() {
        let taken = TcpListener::bind(any_port()).unwrap();
        let address = taken.local_addr().unwrap();
        let pid = std::process::id();
        for (purpose, flags) in [
            (Purpose::Clients, "--listen-client-urls or --grpc-port"),
            (Purpose::Peers, "port with --listen-peer-urls"),
        ] {
            let error = bind(&[asked(address, purpose)], SocketOptions::default()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("port {} is taken by process {pid} (", address.port())), "{error}");
            assert!(error.ends_with(flags), "{error}");
        }
    }

    #[test]
    fn a_taken_port_nobody_asked_for_is_skipped_with_one_warning() {
        let taken = TcpListener::bind(any_port()).unwrap();
        let extra = Listen { asked: false, required: false, ..asked(taken.local_addr().unwrap(), Purpose::Clients) };
        let main = Listen { asked: false, ..asked(any_port(), Purpose::Clients) };
        let bound = bind(&[extra, main], SocketOptions::default()).unwrap();
        assert_eq!(bound.listeners.len(), 1);
        assert_eq!(bound.warnings.len(), 1);
        assert!(bound.warnings[0].contains("is skipped, nobody asked for it"), "{:?}", bound.warnings);
    }

    #[test]
    fn addresses_of_other_machines_are_told() {
        let address = SocketAddr::from(([192, 0, 2, 250], 0));
        let error = bind(&[asked(address, Purpose::Clients)], SocketOptions::default()).unwrap_err();
        assert!(error.to_string().starts_with("address 192.0.2.250 does not belong to this machine"), "{error}");
    }
}
