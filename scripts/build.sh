#!/bin/sh
# The release binaries. Always the whole workspace: building a part of it would choose other features
# for shared dependencies, and they would compile twice. PROFILE=dist takes minutes more, for images: the programs alone,
# optimized as a whole.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

scripts/deps.sh build
case ${PROFILE:-release} in
    release) cargo build --release --workspace --locked ;;
    *)
        METASTORE_GIT_SHA=$(git rev-parse --short HEAD 2>/dev/null || true)
        export METASTORE_GIT_SHA
        cargo build --profile "$PROFILE" --package metastore --locked
        ;;
esac
