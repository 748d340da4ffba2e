#!/bin/sh
# Everything, in the order of the time it takes to fail. Nothing may be skipped.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/deps.sh build lint oracle
scripts/lint.sh
scripts/doc.sh
scripts/oracle.sh
METASTORE_TEST_ALL=1 exec scripts/test.sh "$@"
