# Everything that one does here, by name. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
CLUSTER := $(BIN)/python -m devcluster
BUILT := $${XDG_CACHE_HOME:-$$HOME/.cache}/everstep/bin
CRD_FOLDERS := crds charts/everstep/files

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- what there is to see -------------------------------------------------------------------------------------------

demo: install ## from nothing to a fine-tuned chat model on a cluster of this machine, with a worker killed on the way
	@$(BIN)/python -m examples.demo

# -- the environment ----------------------------------------------------------------------------------------------

install: $(VENV)/.installed ## a .venv with every extra, from the hashed lock file

$(VENV)/.installed: pyproject.toml requirements.lock
	@echo "Installing the packages of requirements.lock into $(VENV) (torch is the large one: minutes when cold, seconds when warm)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --custom-compile-command "make lock"
SUBSET := $(COMPILE) --constraints requirements.lock

lock: ## take newer packages into the lock files (ARGS="--upgrade" for all)
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements.lock $(ARGS)
	$(SUBSET) requirements/build.in --output-file requirements/build.lock
	$(SUBSET) requirements/torch.in --output-file requirements/torch.lock
	$(SUBSET) pyproject.toml --extra operator --output-file requirements/operator.lock
	$(SUBSET) pyproject.toml --extra trainer --excludes requirements/torch.in --output-file requirements/trainer.lock

# -- checks and tests ---------------------------------------------------------------------------------------------

lint: install ## style, types, import contracts, generated files
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m everstep_api.crd --check $(CRD_FOLDERS)
	$(BIN)/python -m everstep_api.reasons_page --check
	$(BIN)/python -m monitoring --check
	if helm=$$(ls -t "$(BUILT)"/*/helm 2>/dev/null | head -1) && [ -n "$$helm" ] || helm=$$(command -v helm); then
	  "$$helm" lint --strict --quiet charts/everstep
	else
	  echo "The chart is not looked at: there is no helm yet; make programs builds one"
	fi
	if command -v gofmt >/dev/null; then
	  unformatted=$$(gofmt -l devcluster/go)
	  [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted; run make format"; exit 1; }
	fi

format: install ## mend what ruff and gofmt can mend
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .
	if command -v gofmt >/dev/null; then gofmt -w devcluster/go; fi

crds: install ## write crds/, the chart's copy, and docs/events.md, from the models
	$(BIN)/python -m everstep_api.crd $(CRD_FOLDERS)
	$(BIN)/python -m everstep_api.reasons_page

dashboards: install ## write the dashboards of Grafana from the code
	$(BIN)/python -m monitoring

test: install ## every test; says at the end how long each part took
	@took=""
	for part in programs test-unit test-api test-fabric test-cluster; do
	  echo "== make $$part"
	  begin=$$SECONDS
	  $(MAKE) --no-print-directory $$part
	  took+=$$(printf '\n  %-14s %4d s' "$$part" $$((SECONDS - begin)))
	done
	echo "== took$$took"

test-unit: install ## rules, tables, and processes that train tiny models: no cluster, a few minutes
	$(BIN)/pytest tests/unit $(ARGS)

test-api: programs ## resource and operator on a real kube-apiserver, a few minutes
	$(BIN)/pytest tests/api $(ARGS)

test-fabric: install ## whole jobs and their faults on this machine, without a cluster
	$(CLUSTER) build prometheus
	$(BIN)/pytest tests/fabric $(ARGS)

test-cluster: programs ## real nodes and their faults (as root on Linux, or on the cluster of DEVCLUSTER_CONTEXT)
	$(BIN)/pytest tests/cluster $(ARGS)

# -- measurements: they print tables and assert nothing ------------------------------------------------------------

bench-overhead: install ## a step of ours beside a plain PyTorch loop on the same cores (ARGS=MODEL-FOLDER)
	$(BIN)/python -m benchmarks.overhead $(ARGS)

bench-launch: install ## seconds from kubectl apply to the first step, by stage, on the cluster (ARGS="--runs 5")
	$(BIN)/python -m benchmarks.launch $(ARGS)

# -- the development cluster --------------------------------------------------------------------------------------

programs: install ## Kubernetes, etcd, CoreDNS, helm, S3 server, kwok, built from Go modules (minutes once)
	$(CLUSTER) build

cluster: install ## a Kubernetes of three nodes on this machine, with DNS and an S3 server
	$(CLUSTER) up

cluster-down: install ## remove it with its data
	$(CLUSTER) down

image: install ## the operator's and the trainer's image, by docker or buildah
	$(CLUSTER) image build operator
	$(CLUSTER) image build trainer

clean: ## remove the environment and caches of this folder; ~/.cache/everstep holds the built programs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo install lock lint format crds dashboards test test-unit test-api test-fabric test-cluster bench-overhead bench-launch programs cluster cluster-down image clean
