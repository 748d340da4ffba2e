#!/bin/sh
# Three members on this host, in the background: what production has on three hosts.
#
#   scripts/cluster.sh start memory|rocksdb     builds, starts, waits until a leader answers
#   scripts/cluster.sh status                   who runs, who leads, how far each has come
#   scripts/cluster.sh stop                     stops the three; the data stays in metastore.cluster/
#
# Clients: 127.0.0.1:2379, :22379 and :32379, peers one port above.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

dir=${CLUSTER_DATA:-metastore.cluster}
members='1 2 3'

client_port() { [ "$1" = 1 ] && echo 2379 || echo "${1}2379"; }
peer_port() { [ "$1" = 1 ] && echo 2380 || echo "${1}2380"; }
running() { [ -r "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }
healthy() { curl -sf --max-time 2 "http://127.0.0.1:$(client_port "$1")/health" >/dev/null; }

initial_cluster() {
    list=
    for member in $members; do
        list="${list:+$list,}member$member=http://127.0.0.1:$(peer_port "$member")"
    done
    echo "$list"
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
        if running "$member"; then
            echo "member$member runs already."
            continue
        fi
        client=http://127.0.0.1:$(client_port "$member")
        peer=http://127.0.0.1:$(peer_port "$member")
        "$target/release/metastore" --name "member$member" --data-dir "$dir/member$member" --storage "$1" \
            --listen-client-urls "$client" --advertise-client-urls "$client" \
            --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
            --initial-cluster "$(initial_cluster)" --initial-cluster-token local-cluster \
            >"$dir/member$member.log" 2>&1 </dev/null &
        echo $! >"$dir/$member.pid"
    done
    tries=0
    for member in $members; do
        until healthy "$member"; do
            running "$member" || die "member$member has ended; its log says why: $dir/member$member.log
$(tail -n 3 "$dir/member$member.log")"
            tries=$((tries + 1))
            [ "$tries" -lt 300 ] || die "No healthy cluster after 30 s; the logs are in $dir/"
            sleep 0.1
        done
    done
    status
    echo "Try: curl http://127.0.0.1:2379/health     Stop: make stop-cluster"
}

# The number or text of one field of a flat JSON object.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }

status() {
    printf '%-8s %-24s %-8s %-10s %-8s %s\n' member clients process leads revision applied
    for member in $members; do
        client=http://127.0.0.1:$(client_port "$member")
        process=stopped leads=- revision=- applied=-
        if running "$member"; then
            process="pid $(cat "$dir/$member.pid")" leads=unknown
            answer=$(curl -sf --max-time 2 -X POST -d '{}' "$client/v3/maintenance/status" || true)
            if [ -n "$answer" ]; then
                [ "$(echo "$answer" | field leader)" = "$(echo "$answer" | field member_id)" ] && leads=yes || leads=no
                revision=$(echo "$answer" | field revision)
                applied=$(echo "$answer" | field raftAppliedIndex)
            fi
        fi
        printf '%-8s %-24s %-8s %-10s %-8s %s\n' "member$member" "$client" "$process" "$leads" "$revision" "$applied"
    done
}

stop() {
    for member in $members; do
        ! running "$member" || kill "$(cat "$dir/$member.pid")"
    done
    for member in $members; do
        while running "$member"; do sleep 0.1; done
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
