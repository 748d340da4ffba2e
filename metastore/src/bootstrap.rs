//! The first members of a cluster, as flags describe them. Read only when the data directory holds
//! nothing yet: a member that ran before knows its cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use internal_proto::{ClusterId, Member, MemberId};

use crate::identity;
use crate::settings::{Origin, Settings};
use crate::urls::{self, Url, UrlError};

/// etcd's peer URL when nothing else is said.
const DEFAULT_PEER_URL: &str = "http://localhost:2380";

/// What the flags say about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// This member's name.
    pub name: String,
    /// Whether somebody chose that name.
    pub name_given: bool,
    /// What sets this cluster apart.
    pub token: String,
    /// Whether somebody chose that token.
    pub token_given: bool,
    /// Whether the flags ask to join a running cluster.
    pub joins: bool,
    /// Where other members are told to reach this one.
    pub peer_urls: Vec<Url>,
    /// The text of `--initial-cluster`; empty for this member alone.
    pub initial_cluster: String,
}

/// A cluster about to be founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// The cluster's id.
    pub cluster_id: ClusterId,
    /// This member's id.
    pub member_id: MemberId,
    /// All first members, this one among them.
    pub members: Vec<Member>,
}

/// Why no cluster can be founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// More members than can work together yet.
    #[error("{0} with more than one member is not supported yet: name one member, or keep etcd for this cluster")]
    ManyMembers(&'static str),
    /// There is no cluster to join yet.
    #[error(
        "--initial-cluster-state=existing asks to join a running cluster, which is not supported yet: use new \
         to found a cluster of one"
    )]
    Joins,
    /// `--member-id` counts the URLs of `--cluster`.
    #[error("--member-id {0} is not in --cluster, which names one member: use --member-id 1")]
    NoSuchMember(u64),
    /// Not `NAME=URL` pairs.
    #[error("--initial-cluster must be NAME=URL pairs with commas between them, not {0:?}")]
    Form(String),
    /// A URL that is none.
    #[error("--initial-cluster: {0}")]
    Url(#[from] UrlError),
    /// The list names somebody else.
    #[error(
        "couldn't find local name {name:?} in the initial cluster configuration {cluster:?}: --name must be \
         in --initial-cluster"
    )]
    NameMissing {
        /// This member's name.
        name: String,
        /// The list.
        cluster: String,
    },
    /// The list gives this member other URLs.
    #[error(
        "--initial-cluster has {listed} for {name:?}, but --initial-advertise-peer-urls is {advertised}: they \
         must be the same"
    )]
    UrlsDiffer {
        /// This member's name.
        name: String,
        /// Its URLs in the list.
        listed: String,
        /// Its advertised URLs.
        advertised: String,
    },
}

impl Bootstrap {
    /// Reads the settings. `default_host` is the address of the default route, which etcd
    /// advertises when it listens everywhere and nobody said what to advertise.
    ///
    /// # Errors
    /// When this project's `--cluster` and `--member-id` ask for more than one member.
    pub fn from_settings(settings: &Settings, default_host: Option<IpAddr>) -> Result<Self, BootstrapError> {
        let cluster = settings.urls("cluster");
        if cluster.len() > 1 {
            return Err(BootstrapError::ManyMembers("--cluster"));
        }
        let member_number = settings.is_set("member-id").then(|| settings.unsigned("member-id"));
        if let Some(number) = member_number.filter(|&number| number != 1) {
            return Err(BootstrapError::NoSuchMember(number));
        }
        let mut peer_urls = settings.urls("initial-advertise-peer-urls");
        if !cluster.is_empty() && !settings.is_set("initial-advertise-peer-urls") {
            peer_urls = cluster;
        } else if urls::texts(&peer_urls) == [DEFAULT_PEER_URL] {
            let listen = settings.urls("listen-peer-urls");
            if let (Some(first), Some(host)) = (listen.first().filter(|url| url.host == "0.0.0.0"), default_host) {
                peer_urls = vec![Url::http(host, first.port)];
            }
        }
        let given = |name| settings.origin(name) != Origin::Default;
        let name = match member_number {
            Some(number) if !given("name") => format!("member-{number}"),
            _ => settings.text("name").to_owned(),
        };
        Ok(Self {
            name,
            name_given: given("name") || member_number.is_some(),
            token: settings.text("initial-cluster-token").to_owned(),
            token_given: given("initial-cluster-token"),
            joins: settings.text("initial-cluster-state") == "existing",
            peer_urls,
            initial_cluster: settings.text("initial-cluster").to_owned(),
        })
    }

    /// The cluster these flags found.
    ///
    /// # Errors
    /// When they contradict each other, or need more than one member.
    pub fn found(&self) -> Result<Founding, BootstrapError> {
        if self.joins {
            return Err(BootstrapError::Joins);
        }
        let peer_urls = self.own_peer_urls()?;
        let member_id = identity::member_id(&peer_urls, &self.token);
        let member = Member { id: member_id, name: self.name.clone(), peer_urls, ..Member::default() };
        Ok(Founding { cluster_id: identity::cluster_id(&[member_id]), member_id, members: vec![member] })
    }

    fn own_peer_urls(&self) -> Result<Vec<String>, BootstrapError> {
        let advertised = urls::texts(&self.peer_urls);
        if self.initial_cluster.is_empty() {
            return Ok(advertised);
        }
        let mut members = parse_initial_cluster(&self.initial_cluster)?;
        let Some(listed) = members.remove(&self.name) else {
            let (name, cluster) = (self.name.clone(), self.initial_cluster.clone());
            return Err(BootstrapError::NameMissing { name, cluster });
        };
        if !members.is_empty() {
            return Err(BootstrapError::ManyMembers("--initial-cluster"));
        }
        let listed = urls::texts(&listed);
        if resolved(&listed) != resolved(&advertised) {
            let (name, listed, advertised) = (self.name.clone(), listed.join(","), advertised.join(","));
            return Err(BootstrapError::UrlsDiffer { name, listed, advertised });
        }
        Ok(listed)
    }
}

/// etcd compares resolved addresses; the one name whose address is certain is `localhost`.
fn resolved(texts: &[String]) -> Vec<String> {
    let mut resolved: Vec<_> = texts.iter().map(|text| text.replace("//localhost:", "//127.0.0.1:")).collect();
    resolved.sort_unstable();
    resolved
}

/// Reads `NAME=URL` pairs; a name may come several times.
fn parse_initial_cluster(text: &str) -> Result<BTreeMap<String, Vec<Url>>, BootstrapError> {
    let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
    for pair in text.split(',') {
        let (name, url) = pair.split_once('=').ok_or_else(|| BootstrapError::Form(text.to_owned()))?;
        members.entry(name.trim().to_owned()).or_default().push(Url::parse(url)?);
    }
    for list in members.values_mut() {
        list.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    }
    Ok(members)
}
