#!/bin/sh
# Formatting and warnings, of the compiler and of clippy. A warning is a failure.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/deps.sh build lint
cargo fmt --all --check
# With the feature that only tests have, or its tests would not be looked at.
cargo clippy --release --workspace --all-targets --locked --features tests/planted-faults -- -D warnings
