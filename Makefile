# `make run` and `make test` are all a stranger needs; `make help` lists the rest.
# Build output lives in the cache folder, so a fresh clone does not build the world again.

SHELL := bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(CACHE)/tools/bin:$(HOME)/.cargo/bin:$(PATH)

WEIR ?= $(CARGO_TARGET_DIR)/release/weir
DATA ?= .weir
ARGS ?=
FUZZ_SECONDS ?= 60
PROFILE ?= dist
PGO ?= 1

PLUGINS := $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/*/manifest.yaml))))
BENCH_GUESTS := kept waits every-hook
PLUGIN_SOURCES := $(shell find sdk plugins -type f -not -path '*/target/*' -not -name '*.wasm' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run test test-agents lint bench drill fuzz docs dist package plugins clean-data

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

run: ## build Weir and its plugins, start it with embedded defaults (ARGS="--config weir.yaml" for your own)
	@.ci/setup run
	@cargo build --quiet --release --locked --workspace --bin weir
	@$(MAKE) --no-print-directory --silent plugins
	@exec $(WEIR) serve --new-key $(ARGS)

test: ## everything: unit, golden, end to end, plugins, the official SDKs
	@.ci/setup test
	cargo build --locked --workspace --bin weir
	@$(MAKE) --no-print-directory --silent plugins WEIR=$(CARGO_TARGET_DIR)/debug/weir
	@.ci/test

test-agents: ## Claude Code and Codex CLI through Weir on each upstream dialect (npm; ARGS="codex gemini" for one)
	@.ci/setup agents
	cargo build --locked --workspace --bin weir
	@WEIR=$(CARGO_TARGET_DIR)/debug/weir tests/agents/run $(ARGS)

lint: ## format, clippy, docs, licences and sources of dependencies
	@.ci/setup lint
	@.ci/lint

bench: ## Weir beside nginx and a bare pingora-proxy: a table, target/bench.json (ARGS=--quick: a look; WEIR=FILE: another build)
	@.ci/setup bench
	cargo build --release --locked --workspace --bin weir --bin weir-bench
	cargo build --release --locked -p weir-plugin-redact-pii --example redact_quality
	@$(MAKE) --no-print-directory --silent plugins $(BENCH_GUESTS:%=target/bench/%.wasm) \
	    WEIR=$(CARGO_TARGET_DIR)/release/weir
	@PATH="$$PATH:/usr/sbin:$(CACHE)/nginx/usr/sbin" $(CARGO_TARGET_DIR)/release/weir-bench run \
	    --weir $(WEIR) --policies policies --guard plugins/mask-pii.wasm \
	    --guests target/bench --quality $(CARGO_TARGET_DIR)/release/examples/redact_quality \
	    --judge plugins/redact-pii/judge/run --out target/bench.json $(ARGS)

drill: ## overload, restarts, kill -9, full disks, long streams: a line each and target/drill.json (ARGS="soak --quick")
	@.ci/setup drill
	cargo build --release --locked --workspace --bin weir --bin weir-drill
	@$(MAKE) --no-print-directory --silent plugins
	@$(CARGO_TARGET_DIR)/release/weir-drill --weir $(CARGO_TARGET_DIR)/release/weir --out target/drill.json $(ARGS)

fuzz: ## each parser's fuzz target for FUZZ_SECONDS (60), FUZZ_JOBS (1) at one time (ARGS="framing sse" for some)
	@.ci/setup fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) .ci/fuzz $(ARGS)

docs: ## the book about policies and plugins, into target/book; what it shows is tried
	@.ci/setup docs
	@docs/hooks.py --check
	cargo build --locked --workspace --bin weir
	@$(MAKE) --no-print-directory --silent plugins WEIR=$(CARGO_TARGET_DIR)/debug/weir
	@WEIR=$(CARGO_TARGET_DIR)/debug/weir docs/test_snippets.py
	@mdbook build docs
	@cp policies/*.rhai policies/*.cases.yaml target/book/   # pages link to them

dist: ## an archive to ship, its bill of materials and checksums, into target/dist (PGO= PROFILE=release: in minutes)
	@.ci/setup dist $(PGO)
ifneq ($(PGO),)
	@PGO_DIR=$(CACHE)/pgo .ci/pgo $(PROFILE)
	@$(MAKE) --no-print-directory package WEIR=$(CACHE)/pgo/weir
else
	cargo build --profile $(PROFILE) --locked --workspace --bin weir
	@$(MAKE) --no-print-directory package WEIR=$(CARGO_TARGET_DIR)/$(PROFILE)/weir
endif

package: ## what `make dist` does with a binary that is built already (WEIR=path)
	@$(MAKE) --no-print-directory --silent plugins
	@docs/packaging/dist.py --weir $(WEIR) --out target/dist

plugins: $(PLUGINS:%=plugins/%.wasm) ## the shipped Wasm plugins, if their sources changed

# Where the embedded config looks for them; git ignores them.
plugins/%.wasm: $(PLUGIN_SOURCES)
	@$(WEIR) plugin build plugins/$* --out $@

# The benchmark's own guests, and the one of the tests that has every hook and every misdeed.
target/bench/%.wasm: $(PLUGIN_SOURCES) $(shell find benches/guests tests/guests -type f 2>/dev/null)
	@mkdir -p $(@D)
	@$(WEIR) plugin build $(firstword $(wildcard benches/guests/$* tests/guests/$*)) --out $@

clean-data: ## forget the local ledger, keys and caches of `make run`
	rm -rf $(DATA)
