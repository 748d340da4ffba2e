#!/bin/sh
# All tests, then each skip with its reason, then the counts. Arguments go to `cargo test`.
#
# A test that lacks something prints `SKIPPED name: reason; enable with: command` and returns
# (tests/src/requirement.rs). Under CI=true or METASTORE_TEST_ALL=1 it fails instead.

. "$(dirname "$0")/environment.sh"

scripts/build.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# tee would hide the status of cargo: it goes into the log as the last line.
{
    cargo test --release --workspace --locked --no-fail-fast "$@" 2>&1 || status=$?
    echo "cargo test ended with $status"
} | tee "$log" | grep -v '^cargo test ended with '
status=$(sed -n 's/^cargo test ended with //p' "$log")

awk -v all="${METASTORE_TEST_ALL:-}" -v ci="${CI:-}" -v status="$status" -f scripts/count-tests.awk "$log"
