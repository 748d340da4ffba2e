# Two commands do everything: `make run` and `make test`. Each target is a script in scripts/.
#
#   YES=1       answer every question with yes (CI)
#   DATA=dir    the data directory of run and reset    (default metastore.data)
#   ARGS="..."  more flags for metastore, cargo test or the comparison

.DEFAULT_GOAL := help
.PHONY: help deps build run cluster-memory cluster-rocksdb status stop-cluster test test-all compose-test lint reset oracle compare compare-short

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/[$$][$$]/, "$$"); printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## say what is missing to build and run, and install it after asking; compile RocksDB once
	@scripts/deps.sh

build: ## release binaries, into target/release/ or $$CARGO_TARGET_DIR/release/
	@scripts/build.sh

run: ## build and start one node in the foreground; Ctrl-C stops it
	@scripts/run.sh $(ARGS)

cluster-memory: ## three members on this host in the background, their data in memory and a log
	@scripts/cluster.sh start memory

cluster-rocksdb: ## the same, their data in RocksDB
	@scripts/cluster.sh start rocksdb

status: ## how these members are
	@scripts/cluster.sh status

stop-cluster: ## stop them; the data stays
	@scripts/cluster.sh stop

test: ## the tests for every day: no network, at most ten minutes once built
	@scripts/test.sh $(ARGS)

test-all: ## everything: lint, documentation, long suites, a real etcd; a skip is a failure
	@scripts/test-all.sh

compose-test: ## the containers of docker-compose.yml under load, scaled, killed, taken down and up (needs Docker)
	@scripts/compose-test.sh

lint: ## formatting, compiler and clippy warnings
	@scripts/lint.sh

reset: ## delete the data of `make run`, after asking
	@scripts/reset.sh

oracle: ## build the real etcd, its load tool and a CoreDNS that tests and comparison use (needs Go)
	@scripts/oracle.sh

compare: ## the same load on a real etcd and on metastore, side by side
	@scripts/compare.sh $(ARGS)

compare-short: ## two minutes of that, which fail where CPU per operation is 15 % worse than in bench/results
	@PROFILE=release scripts/compare.sh --quick --rounds 3 --against bench/results/short.json \
		--only "put, 64" --only "put, 1000" --only "linearizable, 64" --only "linearizable, 1000" \
		--only keepalive --only "fast as possible"
