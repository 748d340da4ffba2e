//! Where clients are served and where they are told to come, as flags say it: etcd's
//! `--listen-client-urls` and `--advertise-client-urls`, or the earlier product's `--grpc-addr` and
//! `--grpc-port`.
//!
//! Invariant: what nobody asked for is bound on loopback only; with any of etcd's listen flags, nothing else is opened.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::bootstrap::Bootstrap;
use crate::ports::{Listen, Purpose};
use crate::settings::{Origin, Settings};
use crate::urls::{self, Scheme, Url, UrlError};

/// etcd's client URL when nothing else is said.
const DEFAULT_CLIENT_URL: &str = "http://localhost:2379";

/// etcd's client port.
const DEFAULT_CLIENT_PORT: u16 = 2379;

/// Why clients cannot be served there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// A URL.
    #[error("--{option}: {error}")]
    Url {
        /// The option it stands in.
        option: &'static str,
        /// What is wrong with it.
        error: UrlError,
    },
    /// A listener that promises encryption.
    #[error("--{option} {url} asks for TLS, which is not built in yet; serving without it would be unsafe. Use http")]
    Tls {
        /// The option it stands in.
        option: &'static str,
        /// The URL.
        url: String,
    },
    /// A listener in the filesystem.
    #[error("--{option} {url} is a socket in the filesystem, which is not supported yet: use http with an address")]
    Socket {
        /// The option it stands in.
        option: &'static str,
        /// The URL.
        url: String,
    },
    /// etcd's rule: who chooses where to listen also says what to advertise.
    #[error("--advertise-client-urls is required when --listen-client-urls is set explicitly")]
    NothingAdvertised,
    /// No listener at all.
    #[error("--listen-client-urls is empty: clients could not reach this member")]
    NoListener,
    /// Two ways to say where to listen.
    #[error("--listen-client-urls and {0} exclude each other: give one of them")]
    TwoListeners(&'static str),
    /// Not an address.
    #[error("--grpc-addr {0:?} must be an IP address and a port, like 127.0.0.1:2379")]
    Address(String),
}

/// Where to serve clients, and where to tell them to come.
pub(crate) fn clients(
    settings: &Settings,
    default_host: Option<IpAddr>,
) -> Result<(Vec<Listen>, Vec<String>), ListenerError> {
    let product = ["grpc-addr", "grpc-port"].into_iter().find(|name| settings.is_set(name));
    if let Some(option) = product {
        if settings.is_set("listen-client-urls") {
            return Err(ListenerError::TwoListeners(if option == "grpc-addr" { "--grpc-addr" } else { "--grpc-port" }));
        }
        let address = product_address(settings)?;
        let advertised = if settings.is_set("advertise-client-urls") {
            settings.urls("advertise-client-urls")
        } else {
            let host = if address.ip().is_unspecified() { default_host } else { None };
            vec![Url::http(host.unwrap_or(address.ip()), address.port())]
        };
        return Ok((
            vec![Listen { address, purpose: Purpose::Clients, asked: true, required: true }],
            urls::texts(&advertised),
        ));
    }
    let listen = settings.urls("listen-client-urls");
    let mut advertised = settings.urls("advertise-client-urls");
    let asked = settings.is_set("listen-client-urls");
    let from_file = matches!(settings.origin("listen-client-urls"), Origin::File(..));
    if asked && !from_file && !settings.is_set("advertise-client-urls") {
        return Err(ListenerError::NothingAdvertised);
    }
    let first = listen.first().ok_or(ListenerError::NoListener)?;
    if let (true, "0.0.0.0", Some(host)) =
        (urls::texts(&advertised) == [DEFAULT_CLIENT_URL], first.host.as_str(), default_host)
    {
        advertised = vec![Url::http(host, first.port)];
    }
    check_hosts("advertise-client-urls", &advertised)?;
    let mut listeners: Vec<_> = addresses("listen-client-urls", &listen)?
        .into_iter()
        .map(|address| Listen { address, purpose: Purpose::Clients, asked, required: true })
        .collect();
    let any_asked = ["listen-client-urls", "listen-peer-urls", "listen-client-http-urls", "listen-metrics-urls"]
        .into_iter()
        .any(|name| settings.is_set(name));
    if !any_asked {
        // Names resolve to the IPv6 loopback first on many machines.
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), DEFAULT_CLIENT_PORT);
        listeners.push(Listen { address, purpose: Purpose::Clients, asked: false, required: false });
    }
    Ok((listeners, urls::texts(&advertised)))
}

/// Where to serve other members. Without `--listen-peer-urls`, `--cluster` says where this member is reached.
pub(crate) fn peers(settings: &Settings, bootstrap: &Bootstrap) -> Result<Vec<Listen>, ListenerError> {
    let asked = settings.is_set("listen-peer-urls");
    let addresses = if asked || settings.list("cluster").is_empty() {
        addresses("listen-peer-urls", &settings.urls("listen-peer-urls"))?
    } else {
        addresses("cluster", &bootstrap.peer_urls)?
    };
    let asked = asked || !bootstrap.initial_cluster.is_empty();
    let listen = |address| Listen { address, purpose: Purpose::Peers, asked, required: true };
    Ok(addresses.into_iter().map(listen).collect())
}

/// `--grpc-addr` and `--grpc-port`: loopback unless an address is given; `:2379` is every address.
fn product_address(settings: &Settings) -> Result<SocketAddr, ListenerError> {
    let text = settings.text("grpc-addr");
    let mut address = match text {
        "" => SocketAddr::from(([127, 0, 0, 1], DEFAULT_CLIENT_PORT)),
        _ => {
            let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
            let full = full.replace("localhost:", "127.0.0.1:");
            full.parse().map_err(|_| ListenerError::Address(text.to_owned()))?
        }
    };
    if let Some(port) = settings.port("grpc-port") {
        address.set_port(port);
    }
    Ok(address)
}

/// The addresses that URLs ask to listen on.
pub(crate) fn addresses(option: &'static str, listen: &[Url]) -> Result<Vec<SocketAddr>, ListenerError> {
    let address = |url: &Url| match url.scheme {
        Scheme::Http => url.bind_address().map_err(|error| ListenerError::Url { option, error }),
        Scheme::Https | Scheme::Unixs => Err(ListenerError::Tls { option, url: url.to_string() }),
        Scheme::Unix => Err(ListenerError::Socket { option, url: url.to_string() }),
    };
    listen.iter().map(address).collect()
}

/// Refuses advertised URLs without a host.
pub(crate) fn check_hosts(option: &'static str, advertised: &[Url]) -> Result<(), ListenerError> {
    urls::check_hosts(advertised).map_err(|error| ListenerError::Url { option, error })
}
