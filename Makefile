# What people type. Everything that is built or fetched goes below target/ and build/.
SHELL := /bin/bash
PYTHON ?= python3
CARGO ?= cargo

PREFIX ?= /usr/local
DESTDIR ?=
GENERATED := build/generated
# Modules that run for SOAK_SECONDS and exit with 0 if nothing grew.
SOAKS := tests.python.soak

.PHONY: help build run check test test-rust test-clients fuzz soak bench bench-quick generated install uninstall clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: ## build the command (release)
	$(CARGO) build --release

run: build ## build and serve the tour
	target/release/salver --cgi examples/tour

check: ## format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features salver/tower --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --features salver/tower --locked --quiet
	CARGO=$(CARGO) tests/features.sh
	$(PYTHON) tests/lint.py
	$(PYTHON) -m unittest -q bench.test_bench

test: check test-rust test-clients ## everything

test-rust: ## unit, property and black-box tests in Rust
	$(CARGO) test --workspace --features salver/tower --locked

test-clients: build ## real clients and oracles against the built command
	SALVER=target/release/salver $(PYTHON) tests/run.py

fuzz: ## every fuzz target, 60 s each (SECONDS_EACH=n for another time)
	fuzz/run.sh $(or $(SECONDS_EACH),60)

soak: build ## mixed load for SOAK_SECONDS each (600): memory and descriptors stay flat; then 20 reloads over 100,000 requests
	for soak in $(SOAKS); do $(PYTHON) -m $$soak || exit 1; done
	SALVER=target/release/salver TEST_RELOADS=20 TEST_REQUESTS=100000 $(PYTHON) -m tests.operate -k nothing_is_lost -k loses_nothing

bench: build ## salver beside its peers, into bench/results/
	$(PYTHON) -m bench

bench-quick: build ## the same in under 3 minutes
	$(PYTHON) -m bench --quick

generated: ## manual page and shell completions, into build/generated/
	$(CARGO) run --quiet --locked -p salver-cli --example generate -- $(GENERATED)

install: build generated ## into PREFIX (/usr/local), below DESTDIR
	install -Dm755 target/release/salver $(DESTDIR)$(PREFIX)/bin/salver
	install -Dm644 $(GENERATED)/salver.1 $(DESTDIR)$(PREFIX)/share/man/man1/salver.1
	install -Dm644 $(GENERATED)/salver.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/salver
	install -Dm644 $(GENERATED)/_salver $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_salver
	install -Dm644 $(GENERATED)/salver.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/salver.fish
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/licenses/salver LICENSE-MIT LICENSE-APACHE

uninstall: ## what `make install` put there
	rm -f $(DESTDIR)$(PREFIX)/bin/salver $(DESTDIR)$(PREFIX)/share/man/man1/salver.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/salver \
	  $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_salver \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/salver.fish
	rm -rf $(DESTDIR)$(PREFIX)/share/licenses/salver

clean: ## remove what was built
	rm -rf build && $(CARGO) clean
