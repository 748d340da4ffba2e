#!/bin/sh
# The containers of docker-compose.yml, tried as a project of their own: built, brought up, scaled under load, one of
# each tier killed, taken down and up. Prints what it saw, and leaves nothing but the images.

# shellcheck source=scripts/environment.sh
. "$(dirname "$0")/environment.sh"

docker compose version >/dev/null 2>&1 || die "This needs Docker with compose v2: https://docs.docker.com/compose/install"
docker info >/dev/null 2>&1 || die "Docker does not answer: is it running, and may this user call it?"

began=$(date +%s)
docker compose build
echo "Images built in $(($(date +%s) - began)) s:"
docker images --format '{{.Repository}} {{.Size}}' | sed -n 's/^metastore/    &/p'

scripts/deps.sh build
trap 'docker compose --project-name metastore-test down --volumes >/dev/null 2>&1' EXIT
cargo test --release --locked --package tests --features tests/compose --test compose -- --nocapture
