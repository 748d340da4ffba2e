//! The first members of a cluster, as flags describe them. Read only when the data directory holds
//! nothing yet: a member that ran before knows its cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use internal_proto::{ClusterId, Member, MemberId};

use crate::identity;
use crate::settings::{Origin, Settings};
use crate::urls::{self, Scheme, Url, UrlError};

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

/// A cluster about to be founded, or joined again by a member that lost its data.
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
    /// Two members, or one twice, at one URL.
    #[error("initial cluster {0} has duplicate url")]
    DuplicateUrl(String),
    /// A URL that promises more than members do yet.
    #[error("--initial-cluster: members reach each other by plain http only so far, not at {0}")]
    Scheme(String),
    /// There is nobody to join.
    #[error(
        "--initial-cluster-state=existing asks to join a running cluster: name all its members, this one among them, \
         in --initial-cluster"
    )]
    JoinsNobody,
    /// `--member-id` counts the URLs of `--cluster`.
    #[error("--member-id {number} is not in --cluster, which names {count}: it is counted from 1")]
    NoSuchMember {
        /// What was asked for.
        number: u64,
        /// How many URLs there are.
        count: usize,
    },
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
    /// When `--member-id` is not in this project's `--cluster`.
    pub fn from_settings(settings: &Settings, default_host: Option<IpAddr>) -> Result<Self, BootstrapError> {
        let number = settings.is_set("member-id").then(|| settings.unsigned("member-id"));
        let cluster = settings.list("cluster");
        let own_url = own_cluster_url(&cluster, number.unwrap_or(1))?;
        let mut peer_urls = settings.urls("initial-advertise-peer-urls");
        if let Some(url) = own_url.filter(|_| !settings.is_set("initial-advertise-peer-urls")) {
            peer_urls = vec![url];
        } else if urls::texts(&peer_urls) == [DEFAULT_PEER_URL] {
            let listen = settings.urls("listen-peer-urls");
            if let (Some(first), Some(host)) = (listen.first().filter(|url| url.host == "0.0.0.0"), default_host) {
                peer_urls = vec![Url::http(host, first.port)];
            }
        }
        let given = |name| settings.origin(name) != Origin::Default;
        let name = match number {
            Some(number) if !given("name") => format!("member-{number}"),
            _ => settings.text("name").to_owned(),
        };
        let initial_cluster = match settings.text("initial-cluster") {
            "" if cluster.len() > 1 => numbered(&cluster, number.unwrap_or(1), &name),
            text => text.to_owned(),
        };
        Ok(Self {
            name,
            name_given: given("name") || number.is_some(),
            token: settings.text("initial-cluster-token").to_owned(),
            token_given: given("initial-cluster-token"),
            joins: settings.text("initial-cluster-state") == "existing",
            peer_urls,
            initial_cluster,
        })
    }

    /// The cluster these flags found, or join: its members give it the same id either way.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn found(&self) -> Result<Founding, BootstrapError> {
        let own = self.own_peer_urls()?;
        let mut listed = parse_initial_cluster(&self.initial_cluster)?;
        listed.insert(self.name.clone(), own);
        if self.joins && listed.len() == 1 {
            return Err(BootstrapError::JoinsNobody);
        }
        let mut seen = BTreeSet::new();
        if !listed.values().flatten().all(|url| seen.insert(url)) {
            return Err(BootstrapError::DuplicateUrl(self.initial_cluster.clone()));
        }
        let member = |(name, peer_urls): (String, Vec<String>)| {
            let id = identity::member_id(&peer_urls, &self.token);
            Member { id, name, peer_urls, ..Member::default() }
        };
        let member_id = identity::member_id(&listed[&self.name], &self.token);
        let members: Vec<Member> = listed.into_iter().map(member).collect();
        let ids: Vec<MemberId> = members.iter().map(|member| member.id).collect();
        Ok(Founding { cluster_id: identity::cluster_id(&ids), member_id, members })
    }

    fn own_peer_urls(&self) -> Result<Vec<String>, BootstrapError> {
        let advertised = urls::texts(&self.peer_urls);
        if self.initial_cluster.is_empty() {
            return Ok(advertised);
        }
        let Some(listed) = parse_initial_cluster(&self.initial_cluster)?.remove(&self.name) else {
            let (name, cluster) = (self.name.clone(), self.initial_cluster.clone());
            return Err(BootstrapError::NameMissing { name, cluster });
        };
        if resolved(&listed) != resolved(&advertised) {
            let (name, listed, advertised) = (self.name.clone(), listed.join(","), advertised.join(","));
            return Err(BootstrapError::UrlsDiffer { name, listed, advertised });
        }
        Ok(listed)
    }
}

/// The URL of `--cluster` that is this member's.
fn own_cluster_url(cluster: &[String], number: u64) -> Result<Option<Url>, BootstrapError> {
    if cluster.is_empty() {
        return Ok(None);
    }
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    match index.and_then(|index| cluster.get(index)) {
        Some(url) => Ok(Some(Url::parse(url)?)),
        None => Err(BootstrapError::NoSuchMember { number, count: cluster.len() }),
    }
}

/// `--cluster` in etcd's words. Members there have numbers instead of names; only this one may have been given a name.
fn numbered(cluster: &[String], own: u64, name: &str) -> String {
    let pair = |(number, url): (u64, &String)| match number {
        number if number == own => format!("{name}={url}"),
        number => format!("member-{number}={url}"),
    };
    (1..).zip(cluster).map(pair).collect::<Vec<_>>().join(",")
}

/// etcd compares resolved addresses; the one name whose address is certain is `localhost`.
fn resolved(texts: &[String]) -> Vec<String> {
    let mut resolved: Vec<_> = texts.iter().map(|text| text.replace("//localhost:", "//127.0.0.1:")).collect();
    resolved.sort_unstable();
    resolved
}

/// Reads `NAME=URL` pairs; a name may come several times.
fn parse_initial_cluster(text: &str) -> Result<BTreeMap<String, Vec<String>>, BootstrapError> {
    let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in text.split(',').filter(|_| !text.is_empty()) {
        let (name, url) = pair.split_once('=').ok_or_else(|| BootstrapError::Form(text.to_owned()))?;
        let url = Url::parse(url)?;
        if url.scheme != Scheme::Http {
            return Err(BootstrapError::Scheme(url.to_string()));
        }
        members.entry(name.trim().to_owned()).or_default().push(url.as_str().to_owned());
    }
    members.values_mut().for_each(|urls| urls.sort_unstable());
    Ok(members)
}
