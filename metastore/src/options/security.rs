//! What promises security (etcd's sections "Security" and "Auth"): refused until it is kept.

use super::Effect::{Later, RefusedSecurity};
use super::{Family, OptionSpec, Section};
use crate::role::CLIENTS;
use crate::value::Kind;

const CLIENT_TLS: &str = "TLS for clients";
const PEER_TLS: &str = "TLS between members";
const ORIGINS: &str = "a restriction of who may send HTTP requests";
const AUTH: &str = "a way of authenticating users";

const fn row(
    section: Section,
    name: &'static str,
    path: &'static str,
    kind: Kind,
    default: &'static str,
    promise: &'static str,
) -> OptionSpec {
    OptionSpec::new(Family::Etcd, section, name, kind).etcd_path(path).default(default).effect(RefusedSecurity(promise))
}

const fn client(name: &'static str, path: &'static str, kind: Kind) -> OptionSpec {
    row(Section::Security, name, path, kind, kind.empty(), CLIENT_TLS).roles(CLIENTS)
}

const fn peer(name: &'static str, path: &'static str, kind: Kind) -> OptionSpec {
    row(Section::Security, name, path, kind, kind.empty(), PEER_TLS)
}

const fn origins(name: &'static str, kind: Kind) -> OptionSpec {
    row(Section::Security, name, "", kind, "*", ORIGINS).roles(CLIENTS)
}

const fn auth(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    row(Section::Auth, name, "", kind, default, AUTH)
}

const TLS_VERSIONS: &[&str] = &["", "TLS1.2", "TLS1.3"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    client("cert-file", "client-transport-security.cert-file", Kind::Text)
        .path("tls.cert_file")
        .doc("Certificate shown to clients."),
    client("key-file", "client-transport-security.key-file", Kind::Text)
        .path("tls.key_file")
        .doc("Key of that certificate."),
    client("client-cert-auth", "client-transport-security.client-cert-auth", Kind::Bool)
        .doc("Demand a certificate of clients."),
    client("client-cert-file", "client-transport-security.client-cert-file", Kind::Text)
        .doc("Certificate of this member as a client of itself."),
    client("client-key-file", "client-transport-security.client-key-file", Kind::Text).doc("Key of that certificate."),
    client("client-crl-file", "", Kind::Text).doc("Revoked certificates of clients."),
    client("client-cert-allowed-hostname", "client-transport-security.allowed-hostname", Kind::List)
        .doc("Host names a client's certificate may carry."),
    client("trusted-ca-file", "client-transport-security.trusted-ca-file", Kind::Text)
        .aliases(&["ca-file"])
        .path("tls.ca_file")
        .doc("CA that signs the certificates of clients."),
    client("auto-tls", "client-transport-security.auto-tls", Kind::Bool)
        .doc("Serve clients with a generated certificate."),
    peer("peer-cert-file", "peer-transport-security.cert-file", Kind::Text).doc("Certificate shown to members."),
    peer("peer-key-file", "peer-transport-security.key-file", Kind::Text).doc("Key of that certificate."),
    peer("peer-client-cert-auth", "peer-transport-security.client-cert-auth", Kind::Bool)
        .doc("Demand a certificate of members."),
    peer("peer-client-cert-file", "peer-transport-security.client-cert-file", Kind::Text)
        .doc("Certificate of this member towards others."),
    peer("peer-client-key-file", "peer-transport-security.client-key-file", Kind::Text).doc("Key of that certificate."),
    peer("peer-trusted-ca-file", "peer-transport-security.trusted-ca-file", Kind::Text)
        .doc("CA that signs the certificates of members."),
    peer("peer-cert-allowed-cn", "peer-transport-security.allowed-cn", Kind::List)
        .doc("Common names a member's certificate may carry."),
    peer("peer-cert-allowed-hostname", "peer-transport-security.allowed-hostname", Kind::List)
        .doc("Host names a member's certificate may carry."),
    peer("peer-auto-tls", "peer-transport-security.auto-tls", Kind::Bool)
        .doc("Talk to members with a generated certificate."),
    peer("peer-crl-file", "", Kind::Text).doc("Revoked certificates of members."),
    peer("peer-skip-client-san-verification", "peer-transport-security.skip-client-san-verification", Kind::Bool)
        .effect(Later)
        .doc("Accept a member's certificate whatever its names."),
    client("self-signed-cert-validity", "", Kind::Unsigned)
        .default("1")
        .effect(Later)
        .doc("Years a generated certificate is valid."),
    client("cipher-suites", "", Kind::List).doc("Cipher suites to offer."),
    client("tls-min-version", "", Kind::OneOf(TLS_VERSIONS)).default("TLS1.2").doc("Oldest TLS version to accept."),
    client("tls-max-version", "", Kind::OneOf(TLS_VERSIONS)).doc("Newest TLS version to accept."),
    origins("cors", Kind::UrlsOrStar).doc("Origins a browser may send requests from."),
    origins("host-whitelist", Kind::List).doc("Host names an HTTP request may be sent to."),
    auth("auth-token", Kind::Text, "simple").doc("Kind of token a user gets: simple or jwt."),
    auth("bcrypt-cost", Kind::Unsigned, "10").path("auth.bcrypt_cost").doc("Work put into a password's hash, 4 to 31."),
    auth("auth-token-ttl", Kind::Unsigned, "300").doc("Seconds a simple token lives."),
];
