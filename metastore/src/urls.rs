//! The URLs etcd's flags carry: a scheme, a host, a port, and nothing else.
//!
//! Invariant: a list is sorted and without duplicates, as etcd keeps it; ids depend on that.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The schemes etcd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
    /// A socket in the filesystem.
    Unix,
    /// TLS over a socket in the filesystem.
    Unixs,
}

/// One URL; its text is kept as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// How to connect.
    pub scheme: Scheme,
    /// The name or address, without brackets; a path for sockets in the filesystem.
    pub host: String,
    /// The port; 0 for sockets in the filesystem.
    pub port: u16,
    text: String,
}

/// Why a URL is refused; the words are etcd's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("URL scheme must be http, https, unix, or unixs: {0}")]
    Scheme(String),
    /// No port, or none that is a number.
    #[error("URL address does not have the form \"host:port\": {0}")]
    Address(String),
    /// A path after the port.
    #[error("URL must not contain a path: {0}")]
    Path(String),
    /// A name where an address is needed.
    #[error("expected IP in URL for binding ({0})")]
    NotAnIp(String),
    /// Nothing before the port.
    #[error("unexpected empty host ({0})")]
    NoHost(String),
}

impl Url {
    /// Reads one URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => Scheme::Unix,
            "unixs" => Scheme::Unixs,
            _ => return Err(UrlError::Scheme(text.to_owned())),
        };
        if matches!(scheme, Scheme::Unix | Scheme::Unixs) {
            return Ok(Self { scheme, host: rest.to_owned(), port: 0, text: text.to_owned() });
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let address = || UrlError::Address(text.to_owned());
        let (host, port) = authority.rsplit_once(':').ok_or_else(address)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(address)?,
            None if host.contains(':') => return Err(address()),
            None => host,
        };
        let port = port.parse().map_err(|_| address())?;
        if !path.is_empty() {
            return Err(UrlError::Path(text.to_owned()));
        }
        Ok(Self { scheme, host: host.to_owned(), port, text: text.to_owned() })
    }

    /// An `http` URL of these parts.
    pub fn http(host: IpAddr, port: u16) -> Self {
        let text = format!("http://{}", SocketAddr::new(host, port));
        Self { scheme: Scheme::Http, host: host.to_string(), port, text }
    }

    /// The address to listen on. `localhost` is the IPv4 loopback, as Go chooses it.
    ///
    /// # Errors
    /// When the host is a name: etcd binds addresses only.
    pub fn bind_address(&self) -> Result<SocketAddr, UrlError> {
        if self.host == "localhost" {
            return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port));
        }
        let address = self.host.parse().map_err(|_| UrlError::NotAnIp(self.text.clone()))?;
        Ok(SocketAddr::new(address, self.port))
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Reads URLs with commas between them; nothing is an empty list.
///
/// # Errors
/// What is wrong with the first bad one.
pub fn parse_list(text: &str) -> Result<Vec<Url>, UrlError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut urls = text.split(',').map(Url::parse).collect::<Result<Vec<_>, _>>()?;
    urls.sort_by(|left, right| left.text.cmp(&right.text));
    urls.dedup();
    Ok(urls)
}

/// Refuses advertised URLs without a host.
///
/// # Errors
/// The first one without.
pub fn check_hosts(urls: &[Url]) -> Result<(), UrlError> {
    match urls.iter().find(|url| url.host.is_empty()) {
        Some(url) => Err(UrlError::NoHost(url.text.clone())),
        None => Ok(()),
    }
}

/// The texts of URLs.
pub fn texts(urls: &[Url]) -> Vec<String> {
    urls.iter().map(|url| url.text.clone()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn errors_speak_as_etcd_does() {
        for (text, error) in [
            ("foo", "URL scheme must be http, https, unix, or unixs: foo"),
            ("http://foo", "URL address does not have the form \"host:port\": http://foo"),
            ("http://a:1/b", "URL must not contain a path: http://a:1/b"),
            ("http://::1:80", "URL address does not have the form \"host:port\": http://::1:80"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn lists_are_sorted_and_unique() {
        let urls = parse_list("http://b:2, http://a:1,http://b:2").unwrap();
        assert_eq!(texts(&urls), ["http://a:1", "http://b:2"]);
        assert!(parse_list("").unwrap().is_empty());
    }

    #[test]
    fn only_addresses_can_be_bound() {
        let bound = |text| Url::parse(text).unwrap().bind_address().map(|a| a.to_string());
        assert_eq!(bound("http://localhost:2379").unwrap(), "127.0.0.1:2379");
        assert_eq!(bound("http://[::1]:2379").unwrap(), "[::1]:2379");
        assert!(matches!(bound("http://example.com:1"), Err(UrlError::NotAnIp(_))));
    }
}
