//! Checks, background work, and what may lose data (etcd's sections "Features" and "Unsafe").

use super::Effect::{Later, NoMeaning};
use super::{Family, OptionSpec, Section};
use crate::role::{CLIENTS, STORAGE};
use crate::value::Kind;

const fn feature(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Features, name, kind).default(default).roles(STORAGE)
}

const fn dangerous(name: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Unsafe, name, Kind::Bool).default("false").roles(STORAGE)
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    feature("corrupt-check-time", Kind::Duration, "0s")
        .effect(Later)
        .doc("Time between comparisons of members' data; 0s never."),
    feature("compact-hash-check-time", Kind::Duration, "1m")
        .effect(Later)
        .doc("Time between comparisons of members' compaction hashes."),
    feature("compaction-batch-limit", Kind::Signed, "1000")
        .path("mvcc.compaction.batch_size")
        .effect(Later)
        .doc("Revisions dropped in one step of a compaction."),
    feature("compaction-sleep-interval", Kind::Duration, "0s")
        .path("mvcc.compaction.batch_interval")
        .effect(Later)
        .doc("Pause between two steps of a compaction."),
    feature("watch-progress-notify-interval", Kind::Duration, "10m")
        .roles(CLIENTS)
        .doc("How often a quiet watch that asked for it hears of progress."),
    feature("warning-apply-duration", Kind::Duration, "100ms")
        .effect(Later)
        .doc("An entry that takes longer to apply is logged."),
    feature("bootstrap-defrag-threshold-megabytes", Kind::Unsigned, "0")
        .effect(NoMeaning)
        .doc("There is nothing to defragment here."),
    feature("max-learners", Kind::Signed, "1").effect(Later).doc("Learners a cluster may have."),
    feature("downgrade-check-time", Kind::Duration, "5s")
        .effect(Later)
        .doc("Time between looks at a downgrade in progress."),
    feature("snapshot-catchup-entries", Kind::Unsigned, "5000")
        .effect(Later)
        .doc("Entries kept for a follower that lags behind."),
    dangerous("force-new-cluster").effect(Later).doc("Make this member the only one."),
    dangerous("unsafe-no-fsync").effect(Later).doc("Do not wait for the disk."),
];
