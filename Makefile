# Everything that one does here, by name. `make help` lists it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
CLUSTER := $(BIN)/python -m devcluster

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- the environment ----------------------------------------------------------------------------------------------

install: $(VENV)/.installed ## a .venv with every extra, from the hashed lock file

$(VENV)/.installed: pyproject.toml requirements.lock
	@echo "Installing the packages of requirements.lock into $(VENV) (torch is the large one: minutes when cold, seconds when warm)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lock: ## take newer packages into requirements.lock (ARGS="--upgrade" for all)
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" --output-file requirements.lock $(ARGS)

# -- checks and tests ---------------------------------------------------------------------------------------------

lint: install ## style, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## mend what ruff can mend
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

test-unit: install ## rules and tables: no cluster, seconds
	$(BIN)/pytest tests/unit $(ARGS)
