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

# RocksDB, as scripts/rocksdb.sh compiles it: one library per version and way of building it. The flags are
# those of the crate's build.rs.
locked() { awk -v name="\"$1\"" '$1 == "name" && $3 == name { getline; gsub(/"/, "", $3); print $3; exit }' Cargo.lock; }
rocksdb_flags="-std=c++20 -include cstdint -O3 -fPIC -ffunction-sections -fdata-sections -w -DNDEBUG -DLZ4=1
    -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX"
case $(uname -s) in
    Darwin) rocksdb_flags="$rocksdb_flags -DOS_MACOSX" ;;
    *) rocksdb_flags="$rocksdb_flags -DOS_LINUX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT
        -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT" ;;
esac
case $(uname -m) in
    x86_64) rocksdb_flags="$rocksdb_flags -msse4.2 -mpclmul" ;;
    aarch64) rocksdb_flags="$rocksdb_flags -march=armv8-a+crc+aes+crypto" ;;
esac
rocksdb_version=$(locked librocksdb-sys)
rocksdb_key=$(echo "$rocksdb_flags $(locked lz4-sys) $(uname -sm)" | cksum | awk '{ print $1 }')
export ROCKSDB_LIB_DIR="${ROCKSDB_LIB_DIR:-$cache/rocksdb-$rocksdb_version-$rocksdb_key}" ROCKSDB_STATIC=1

# The version that a go.mod of tests/oracle pins, without the leading v:
# pinned etcd go.etcd.io/etcd/server/v3
pinned() {
    awk -v module="$2" '{ sub(/^require /, "") } $1 == module { sub(/^v/, "", $2); print $2; exit }' "tests/oracle/$1/go.mod"
}

die() {
    echo "$*" >&2
    exit 1
}
