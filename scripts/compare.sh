#!/bin/sh
# The same load on a real etcd and on metastore, side by side. Arguments go to the comparison: --quick,
# --rounds N, --only NAME, --list, --form one|rocksdb|three|split. PROFILE=release spares the minutes of
# building with fat LTO.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

profile=${PROFILE:-dist}
scripts/deps.sh build oracle
scripts/oracle.sh
cargo build --profile "$profile" --locked --package metastore
cargo build --release --workspace --locked

etcd="$cache/oracle/etcd-$(pinned etcd go.etcd.io/etcd/server/v3)"
benchmark="$cache/oracle/benchmark-$(pinned benchmark go.etcd.io/etcd/v3)"
exec "$target/release/bench" \
    --etcd "$etcd/etcd" --etcdctl "$etcd/etcdctl" --benchmark "$benchmark/benchmark" \
    --metastore "$target/$profile/metastore" --directory "${DATA:-$target/compare}" "$@"
