#!/bin/sh
# Builds the real etcd, etcdctl, etcdutl, etcd's load tool, a CoreDNS and a program that prints etcd's wire contract,
# from the Go module proxy, in the versions that tests/oracle/*/go.mod pin, into a cache that all checkouts share. Quick when they are there.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

etcd="$cache/oracle/etcd-$(pinned etcd go.etcd.io/etcd/server/v3)"
benchmark="$cache/oracle/benchmark-$(pinned benchmark go.etcd.io/etcd/v3)"
coredns="$cache/oracle/coredns-$(pinned coredns github.com/coredns/coredns)"
descriptors="$cache/oracle/descriptors-$(pinned descriptors go.etcd.io/etcd/api/v3)"

# build directory program package: in tests/oracle/$pin. Named only once complete, so that a half-built
# program is never taken for one.
build() {
    [ ! -x "$1/$2" ] || return 0
    [ -n "${ready:-}" ] || prepare
    echo "Building $2 into $1"
    mkdir -p "$1"
    (cd "tests/oracle/$pin" && go build -trimpath -buildvcs=false -o "$1/$2.part" "$3")
    mv "$1/$2.part" "$1/$2"
}

prepare() {
    scripts/deps.sh oracle
    [ ! -x "$cache/go/bin/go" ] || PATH="$cache/go/bin:$PATH"
    ready=1
}

pin=etcd
build "$etcd" etcd go.etcd.io/etcd/server/v3
build "$etcd" etcdctl go.etcd.io/etcd/etcdctl/v3
build "$etcd" etcdutl go.etcd.io/etcd/etcdutl/v3
pin=benchmark
build "$benchmark" benchmark go.etcd.io/etcd/v3/tools/benchmark
pin=coredns
build "$coredns" coredns .
pin=descriptors
build "$descriptors" descriptors .
