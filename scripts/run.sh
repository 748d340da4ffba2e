#!/bin/sh
# One node in the foreground, with a greeting that says what to try. Arguments go to metastore.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/build.sh
METASTORE_WELCOME=1 exec "$target/release/metastore" --data-dir "$data" "$@"
