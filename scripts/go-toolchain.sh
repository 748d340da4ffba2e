#!/bin/sh
# A system's Go that is too old to fetch its own successor fetches it here as what it is: a Go module, with
# the checksum database as witness. Lands in the cache, beside what it builds.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

wanted=1.26.8
version=$(go version | awk '{ sub(/^go/, "", $3); print $3 }')
case $version in
    1.[0-9] | 1.[0-9].* | 1.1[0-9] | 1.1[0-9].* | 1.20 | 1.20.*) ;;
    *) exit 0 ;;
esac

module="golang.org/toolchain@v0.0.1-go$wanted.$(go env GOOS)-$(go env GOARCH)"
echo "Go $version is too old; fetching $wanted"
directory=$(cd / && go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
[ -d "$directory" ] || die "Could not download $module: no network? Install Go 1.21 or newer by hand."
rm -rf "$cache/go"
mkdir -p "$cache"
cp -R "$directory" "$cache/go"
# The module cache holds everything read-only, and knows no executables.
chmod -R u+w "$cache/go"
chmod -R +x "$cache/go/bin" "$cache/go/pkg/tool"
