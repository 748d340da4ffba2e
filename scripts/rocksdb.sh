#!/bin/sh
# RocksDB as a static library, from the C++ sources inside the crate librocksdb-sys: once for all checkouts
# and profiles, where cargo alone would compile it again for each. Cargo finds it by ROCKSDB_LIB_DIR
# (scripts/environment.sh); without that variable everything builds too, slower.
#
#   the crate's sources ──► groups, each one run of the compiler ──► librocksdb.a in the cache
#
# LZ4 is only referred to: the crate lz4-sys links it.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

[ ! -f "$ROCKSDB_LIB_DIR/librocksdb.a" ] || exit 0

# Sources per run: more share the work on headers, fewer fit the memory of a small machine.
group=16
# Runs at once: each takes up to 1 GB.
jobs=${ROCKSDB_JOBS:-2}
# Sources that define what another of their group defines too: compiled alone.
alone=''

# The folder of a package, unpacked or vendored.
sources() {
    cargo metadata --format-version 1 --locked |
        grep -o "\"manifest_path\":\"[^\"]*/$1-[0-9][^\"/]*/Cargo.toml\"" |
        sed 's/^"manifest_path":"//; s/\/Cargo.toml"$//' | head -n 1
}

rocksdb=$(sources librocksdb-sys)
lz4=$(sources lz4-sys)
[ -d "$rocksdb/rocksdb" ] || die "cargo metadata names no sources of librocksdb-sys"
[ -d "$lz4/liblz4/lib" ] || die "cargo metadata names no sources of lz4-sys"

echo "Building RocksDB, for some minutes, into $ROCKSDB_LIB_DIR: once" >&2
mkdir -p "$cache"
work=$(mktemp -d "$cache/rocksdb-building.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The crate has a build_version.cc of its own.
awk -v root="$rocksdb" -v work="$work" -v group="$group" -v alone="$alone" '
    function add(name, source) { printf "#include \"%s/%s\"\n", root, source >(work "/" name ".cc") }
    BEGIN { count = split(alone, names, " "); for (i = 1; i <= count; i++) single[names[i]] = 1 }
    $1 == "" || $1 == "util/build_version.cc" { next }
    $1 in single { add("alone-" NR, "rocksdb/" $1); next }
    { add(sprintf("group-%02d", int(grouped / group)), "rocksdb/" $1); grouped++ }
    END { add("version", "build_version.cc") }
' "$rocksdb/rocksdb_lib_sources.txt"

# shellcheck disable=SC2086
find "$work" -name '*.cc' | sort | xargs -P "$jobs" -I FILE \
    "${CXX:-c++}" $rocksdb_flags -I"$rocksdb/rocksdb/include" -I"$rocksdb/rocksdb" -I"$rocksdb" -I"$lz4/liblz4/lib" \
    -c FILE -o FILE.o
"${AR:-ar}" crs "$work/librocksdb.a" "$work"/*.o
rm "$work"/*.o "$work"/*.cc
# Another checkout may have been faster.
[ -f "$ROCKSDB_LIB_DIR/librocksdb.a" ] || mv "$work" "$ROCKSDB_LIB_DIR"
