//! Flags etcd itself accepts and ignores, with or without a value after `=`.

use super::{Effect, Family, OptionSpec, Section};
use crate::value::Kind;

const fn retired(name: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Retired, name, Kind::Anything).effect(Effect::Retired).doc("Ignored.")
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    retired("cluster-active-size"),
    retired("cluster-remove-delay"),
    retired("cluster-sync-interval"),
    retired("force"),
    retired("max-result-buffer"),
    retired("max-retry-attempts"),
    retired("peer-heartbeat-interval"),
    retired("peer-election-timeout"),
    retired("retry-interval"),
    retired("snapshot"),
    retired("v"),
    retired("vv"),
];
