#!/bin/sh
# The documentation of all crates. A broken link is a failure.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/deps.sh build
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --locked
