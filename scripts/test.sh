#!/bin/sh
# All tests, then each skip with its reason, then the counts. Arguments go to `cargo test`.
#
# A test that lacks something prints `SKIPPED name: reason; enable with: command` and returns
# (tests/src/requirement.rs). Under CI=true or METASTORE_TEST_ALL=1 it fails instead.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/build.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A pipe has the status of its end: cargo's goes through a file.
{
    status=0
    cargo test --release --workspace --locked --no-fail-fast "$@" 2>&1 || status=$?
    if [ "${METASTORE_TEST_ALL:-}" = 1 ]; then
        # Built apart, so that no program ever holds a planted fault.
        cargo test --release --workspace --locked --features tests/planted-faults --test planted_faults 2>&1 || status=$?
        # Suites that know clients only, before every other form of the product, at everyday length.
        for form in rocksdb members split; do
            echo "As $form:"
            METASTORE_FORM=$form METASTORE_TEST_ALL='' cargo test --release --workspace --locked --no-fail-fast \
                --test clients_benchmark --test clients_curl --test clients_etcdctl --test oracle_errors \
                --test oracle_json --test oracle_watch --test process_crowds --test process_hostile \
                --test process_slow_watch 2>&1 || status=$?
        done
    fi
    echo "$status" >"$work/status"
} | tee "$work/log"

awk -v all="${METASTORE_TEST_ALL:-}" -v ci="${CI:-}" -v status="$(cat "$work/status")" \
    -f scripts/count-tests.awk "$work/log"
