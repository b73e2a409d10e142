# What people type. Everything that is built or fetched goes below target/ and build/.
SHELL := /bin/bash
PYTHON ?= python3
CARGO ?= cargo

.PHONY: help build run check test test-rust test-clients fuzz bench bench-quick clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build the command (release)
	$(CARGO) build --release

run: build ## build and serve the tour
	target/release/salver --cgi examples/tour

check: ## format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(PYTHON) tests/lint.py
	$(PYTHON) -m unittest -q bench.test_bench

test: check test-rust test-clients ## everything

test-rust: ## unit, property and black-box tests in Rust
	$(CARGO) test --workspace --locked

test-clients: build ## real clients and oracles against the built command
	SALVER=target/release/salver $(PYTHON) tests/run.py

fuzz: ## every fuzz target, 60 s each (SECONDS_EACH=n for another time)
	fuzz/run.sh $(or $(SECONDS_EACH),60)

bench: build ## salver beside its peers, into bench/results/
	$(PYTHON) -m bench

bench-quick: build ## the same in under 3 minutes
	$(PYTHON) -m bench --quick

clean: ## remove what was built
	rm -rf build && $(CARGO) clean
