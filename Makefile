# The daily words of Changke. `make` alone lists them; nothing but python3 (3.11 or newer) and make is needed beforehand.
# Works with GNU make 3.81 (macOS) and newer. ARGS="..." hands arguments on: make demo ARGS="--no-serve --json".

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
RUNS   := $(VENV)/.ready-to-run
TESTS  := $(VENV)/.ready-to-test

.DEFAULT_GOAL := help
.PHONY: help demo up test install check bench migrate seed openapi golden pages lock clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(RUNS) ## install, load a year of real grocery trade, leave the server running
	$(BIN)/changke demo $(ARGS)

up: $(RUNS) ## start server and worker on this machine (Ctrl-C stops both)
	$(BIN)/changke up $(ARGS)

test: $(TESTS) ## install with the test extras, run the whole suite
	$(PYTEST) -n auto --dist loadgroup $(ARGS)

install: $(TESTS) ## only the set-up that `make test` begins with

check: $(TESTS) ## what CI checks before the tests: style, types, contracts, architecture (about a minute)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q tests/architecture $(ARGS)

bench: ARGS ?= --quick
bench: $(TESTS) ## every figure in its short form; for the full one: make bench ARGS=
	@set -e; for script in bench/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

migrate: $(RUNS) ## bring the database up to date
	$(BIN)/changke migrate $(ARGS)

seed: $(RUNS) ## put wallet types, the first programme and the first API key in place
	$(BIN)/changke seed $(ARGS)

openapi: $(TESTS) ## write openapi.json after a change of routes
	$(BIN)/changke openapi

golden: $(TESTS) ## write golden payloads for new event topics (never rewrites a published one)
	$(BIN)/python -m tests.architecture.golden

pages: $(TESTS) ## write docs/modules from the docstrings of the modules
	$(BIN)/python -m tests.architecture.module_pages

lock: ## resolve the dependency ranges of pyproject.toml again, with hashes
	@sh requirements/lock.sh

clean: ## remove the virtual environment and every cache (your data stay)
	rm -rf $(VENV) .make build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: each stamp is newer than what it was made from, so a second run starts at once

$(BIN)/python:
	@sh requirements/venv.sh $(VENV)

$(RUNS): requirements/demo.lock pyproject.toml | $(BIN)/python
	@echo "Installing Changke into $(VENV) (the first time takes a minute or two) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/demo.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(TESTS): requirements/test.lock pyproject.toml | $(BIN)/python
	@echo "Installing Changke with its test tools into $(VENV) (the first time takes a minute or two) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/test.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(RUNS)
