#!/bin/sh
# The release binaries. Always the whole workspace: building a part of it would choose other features
# for shared dependencies, and they would compile twice.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/deps.sh build
cargo build --release --workspace --locked
