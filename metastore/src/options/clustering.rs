//! How members find each other (etcd's section "Clustering").

use super::Effect::{Later, NoMeaning, RefusedCluster, RefusedSecurity};
use super::{Family, OptionSpec, Section};
use crate::role::{EVERY, STORAGE};
use crate::value::Kind;

const fn cluster(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Clustering, name, kind).default(default).roles(STORAGE)
}

/// Only read by discovery, which is refused as soon as it is asked for.
const fn discovery(name: &'static str, path: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    cluster(name, kind, default).etcd_path(path).effect(Later).doc("Part of discovery.")
}

const V2_STAGES: &[&str] = &["write-only", "write-only-skip-check", "write-only-drop-data", "gone"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    cluster("initial-advertise-peer-urls", Kind::Urls, "http://localhost:2380")
        .doc("Where other members are told to reach this one."),
    cluster("initial-cluster", Kind::Text, "").doc("First members as NAME=URL pairs; this member alone when empty."),
    cluster("initial-cluster-state", Kind::Choice(&["new", "existing"]), "new")
        .doc("Whether to found a cluster (new) or to join one (existing); ignored on a restart."),
    cluster("initial-cluster-token", Kind::Secret, "etcd-cluster")
        .path("cluster_id")
        .roles(EVERY)
        .doc("Sets clusters apart, and is the secret that members and gateways know each other by."),
    cluster("advertise-client-urls", Kind::Urls, "http://localhost:2379")
        .doc("Where clients are told to find this member."),
    cluster("discovery-token", Kind::Text, "")
        .etcd_path("discovery-config.token")
        .effect(RefusedCluster)
        .doc("The cluster to look up in a discovery service."),
    cluster("discovery-endpoints", Kind::List, "")
        .etcd_path("discovery-config.endpoints")
        .effect(RefusedCluster)
        .doc("A discovery service to find members in."),
    discovery("discovery-dial-timeout", "discovery-config.dial-timeout", Kind::Duration, "2s"),
    discovery("discovery-request-timeout", "discovery-config.request-timeout", Kind::Duration, "5s"),
    discovery("discovery-keepalive-time", "discovery-config.keepalive-time", Kind::Duration, "2s"),
    discovery("discovery-keepalive-timeout", "discovery-config.keepalive-timeout", Kind::Duration, "6s"),
    discovery("discovery-insecure-transport", "discovery-config.secure.insecure-transport", Kind::Bool, "true")
        .effect(RefusedSecurity("TLS towards a discovery service")),
    discovery(
        "discovery-insecure-skip-tls-verify",
        "discovery-config.secure.insecure-skip-tls-verify",
        Kind::Bool,
        "false",
    ),
    discovery("discovery-cert", "discovery-config.secure.cert", Kind::Text, "")
        .effect(RefusedSecurity("TLS towards a discovery service")),
    discovery("discovery-key", "discovery-config.secure.key", Kind::Text, "")
        .effect(RefusedSecurity("TLS towards a discovery service")),
    discovery("discovery-cacert", "discovery-config.secure.cacert", Kind::Text, "")
        .effect(RefusedSecurity("TLS towards a discovery service")),
    discovery("discovery-user", "discovery-config.auth.username", Kind::Text, ""),
    discovery("discovery-password", "discovery-config.auth.password", Kind::Secret, ""),
    cluster("discovery-fallback", Kind::Choice(&["exit"]), "exit")
        .effect(Later)
        .doc("What to do when discovery fails; etcd knows only exit."),
    cluster("discovery-srv", Kind::Text, "").effect(RefusedCluster).doc("A DNS domain to find members in."),
    cluster("discovery-srv-name", Kind::Text, "").effect(RefusedCluster).doc("The service to ask that DNS domain for."),
    cluster("strict-reconfig-check", Kind::Bool, "true")
        .effect(Later)
        .doc("Refuse a change of members that would lose the quorum."),
    cluster("pre-vote", Kind::Bool, "true")
        .path("raft.pre_vote")
        .doc("Ask whether an election could be won before holding it."),
    cluster("auto-compaction-retention", Kind::Text, "0")
        .path("mvcc.auto_compaction.retention")
        .effect(Later)
        .doc("History to keep when compacting automatically; 0 keeps all."),
    cluster("auto-compaction-mode", Kind::OneOf(&["periodic", "revision"]), "periodic")
        .path("mvcc.auto_compaction.mode")
        .effect(Later)
        .doc("Whether that retention is a time or a number of revisions."),
    cluster("v2-deprecation", Kind::Choice(V2_STAGES), "write-only")
        .effect(NoMeaning)
        .doc("A stage of etcd's v2 store, which does not exist here."),
];
