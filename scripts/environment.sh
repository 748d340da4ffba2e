# Sourced by every script: where things are. Leaves the shell in the repository's root.
# shellcheck shell=sh disable=SC2034

set -eu
cd "$(dirname "$0")/.."

# Installers put these directories on the PATH of the next login; here they count at once.
for directory in "$HOME/.cargo/bin" /usr/local/go/bin; do
    case ":$PATH:" in
        *":$directory:"*) ;;
        *) [ ! -d "$directory" ] || PATH="$directory:$PATH" ;;
    esac
done
export PATH

target=${CARGO_TARGET_DIR:-target}
data=${DATA:-metastore.data}
# What is built once per version and shared by all checkouts.
cache=${METASTORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/metastore}
export METASTORE_CACHE="$cache"

# The version that a go.mod of tests/oracle pins, without the leading v:
# pinned etcd go.etcd.io/etcd/server/v3
pinned() {
    awk -v module="$2" '$1 == module { sub(/^v/, "", $2); print $2; exit }' "tests/oracle/$1/go.mod"
}

die() {
    echo "$*" >&2
    exit 1
}
