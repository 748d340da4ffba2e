#!/bin/sh
# Formatting and warnings, of the compiler and of clippy. A warning is a failure.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/deps.sh build lint
cargo fmt --all --check
cargo clippy --release --workspace --all-targets --locked -- -D warnings
