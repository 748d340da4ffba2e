#!/bin/sh
# Three members on this host, in the background: what production has on three hosts.
#
#   scripts/cluster.sh start memory|rocksdb     builds, starts who does not run, waits until all serve
#   scripts/cluster.sh status                   who runs, who leads, how far each has come
#   scripts/cluster.sh stop                     stops the three; the data stays in metastore.cluster/
#
# Clients: 127.0.0.1:2379, :22379 and :32379, peers one port above.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

dir=${CLUSTER_DATA:-metastore.cluster}
members='1 2 3'
token=local-cluster

client_port() { [ "$1" = 1 ] && echo 2379 || echo "${1}2379"; }
peer_url() { [ "$1" = 1 ] && echo http://127.0.0.1:2380 || echo "http://127.0.0.1:${1}2380"; }

# Its process id, if it runs: the file may be left over from before a reboot, the process ended and not yet reaped.
running() {
    [ -r "$dir/$1.pid" ] || return 1
    case $(ps -p "$(cat "$dir/$1.pid")" -o state=,comm= 2>/dev/null) in
        Z*) return 1 ;;
        *metastore) cat "$dir/$1.pid" ;;
        *) return 1 ;;
    esac
}

# The three members, each as `$1` words it, with commas between them.
list() {
    list=
    for member in $members; do
        list="${list:+$list,}$("$1" "$member")"
    done
    echo "$list"
}

named() { echo "member$1=$(peer_url "$1")"; }

start_member() {
    client=http://127.0.0.1:$(client_port "$1")
    peer=$(peer_url "$1")
    "$target/release/metastore" --name "member$1" --data-dir "$dir/member$1" --storage "$2" \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "$(list named)" --initial-cluster-token "$token" \
        >"$dir/member$1.log" 2>&1 </dev/null &
    echo $! >"$dir/$1.pid"
}

start() {
    case ${1:-} in
        memory | rocksdb) ;;
        *) die "Which engine? scripts/cluster.sh start memory, or start rocksdb" ;;
    esac
    scripts/build.sh
    mkdir -p "$dir"
    chmod 700 "$dir"
    for member in $members; do
        if pid=$(running "$member"); then
            echo "member$member runs already, as process $pid."
        else
            start_member "$member" "$1"
        fi
    done
    tries=0
    for member in $members; do
        until grep -q 'ready to serve client requests' "$dir/member$member.log"; do
            running "$member" >/dev/null || die "member$member has ended; $dir/member$member.log says why:
$(tail -n 3 "$dir/member$member.log")"
            tries=$((tries + 1))
            [ "$tries" -lt 300 ] || die "No cluster after 30 s; the logs are in $dir/"
            sleep 0.1
        done
    done
    status
    echo "Try: curl http://127.0.0.1:2379/health     Stop: make stop-cluster"
}

status() {
    for member in $members; do
        clients="127.0.0.1:$(client_port "$member")"
        if pid=$(running "$member"); then
            echo "member$member  process $pid  clients $clients  log $dir/member$member.log"
        else
            echo "member$member  stopped"
        fi
    done
    # Members that are stopped are told in the table; they do not make this fail.
    "$target/release/storenode" status --endpoint "$(list peer_url)" --initial-cluster-token "$token" || true
}

stop() {
    for member in $members; do
        ! pid=$(running "$member") || kill "$pid"
    done
    for member in $members; do
        while running "$member" >/dev/null; do sleep 0.1; done
        rm -f "$dir/$member.pid"
    done
    echo "Stopped. The data is kept in $dir/; make reset DATA=$dir deletes it."
}

case ${1:-} in
    start | status | stop)
        action=$1
        shift
        "$action" "$@"
        ;;
    *) die "scripts/cluster.sh knows start, status and stop" ;;
esac
