# Everything starts from a bare checkout: each target makes what it needs first.
# Needed on the machine: make, bash, Python 3.11 or newer, and for clusters what `python -m tests.cluster` names.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
# A new lock file has a new stamp, and so a new installation.
INSTALLED := $(VENV)/.installed-$(firstword $(shell sha256sum requirements/dev.txt))
# Each run has its temporary files for itself: several side by side would clear away each other's.
PYTEST = temporary=$$(mktemp -d); trap 'rm -rf "$$temporary"' EXIT; $(PYTHON) -m pytest --basetemp "$$temporary/$@"

# What takes long to make lies outside the repository, for the next checkout too: see tests/cluster/paths.py.
CACHE := $(or $(SCHEDULEDTASK_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/scheduledtask)

CHART := charts/scheduledtask-operator
SYSTEMS := match_history ticket_miner job_queue source_monitor
empty :=
# What stands in the container side by side stands in several source roots here.
export PYTHONPATH := operator:$(subst $(empty) ,:,$(foreach part,sdk $(SYSTEMS),job_images/$(part))):.

##@ Use
.PHONY: help
help: ## List these targets.
	@awk 'BEGIN {FS = ":.*## "}
	  /^##@/ {printf "\n%s\n", substr($$0, 5)}
	  /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: $(INSTALLED) ## Bring up a cluster, install the operator, run the jobs of SYSTEM (match_history, ..., all) and show them.
	@$(PYTHON) -m tests.demo up $(SYSTEM)

.PHONY: demo-down
demo-down: $(INSTALLED) ## End all that `make demo` started.
	@$(PYTHON) -m tests.demo down

##@ Check
.PHONY: test
test: $(INSTALLED) ## All checks: lint, types, unit, jobs, contract, integration, faults, e2e. Goes on after a failure; a summary ends it.
	@logs=$$(mktemp -d) summary="" failures="" failed=0
	declare -A jobs
	# What runs in the background has a process group of its own, so that all of it ends with this.
	begin() { setsid "$${@:2}" >"$$logs/$$1" 2>&1 & jobs[$$1]=$$!; }
	finish() {
	  local status=0
	  wait $${jobs[$$1]} || status=$$?
	  unset "jobs[$$1]"
	  cat "$$logs/$$1"
	  return $$status
	}
	trap 'for job in "$${jobs[@]}"; do kill -- -$$job 2>/dev/null || true; done; rm -rf "$$logs"' EXIT
	stage() {
	  local began=$$SECONDS result=passed output copying
	  printf '\n===== %s =====\n' "$$1"
	  exec {output}> >(tee "$$logs/output")
	  copying=$$!
	  "$${@:2}" >&$$output 2>&1 || { result=FAILED; failed=1; }
	  exec {output}>&-
	  wait $$copying
	  # Said again at the very end: often no more than that is kept of a long log.
	  [ $$result = passed ] || failures+=$$(grep -E '^(FAILED|ERROR|E  )|[Ee]rror:' "$$logs/output" | tail -n 8 | cut -c 1-240 || true)$$'\n'
	  summary+=$$(printf '  %-16s %-7s %5d s' "$$1" "$$result" $$((SECONDS - began)))$$'\n'
	}
	begin cluster-build $(PYTHON) -m tests.cluster build
	for check in lint types unit; do stage $$check $(MAKE) $$check; done
	stage cluster-build finish cluster-build
	# Beside all that follows, for it mostly waits for the clock; and what does not gives way to it.
	begin e2e $(MAKE) e2e
	for check in jobs contract; do stage $$check nice $(MAKE) $$check; done
	stage integration $(MAKE) integration
	stage faults $(MAKE) short-faults
	stage e2e finish e2e
	printf '\n===== summary =====\n%s%s' "$$summary" "$$failures"
	exit $$failed

.PHONY: lint
lint: $(INSTALLED) ## Style, formatting, and which layer may import which.
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

.PHONY: types
types: $(INSTALLED) ## Strict typing of everything.
	@$(VENV)/bin/mypy --cache-dir $(CACHE)/mypy operator/scheduledtask job_images tests

.PHONY: unit jobs contract integration e2e
unit: $(INSTALLED) ## Tests of single parts; no cluster.
jobs: $(INSTALLED) ## Tests of the jobs against real HTTP servers, SQLite and PostgreSQL; no cluster.
contract: $(INSTALLED) ## Schedules and alerts against what Kubernetes and Prometheus make of them.
integration: $(INSTALLED) ## Tests against a real API server and its controllers.
e2e: $(INSTALLED) ## Tests against a real node, with the chart installed by Helm.
unit jobs: WORKERS := -n 2
# Most of their time they wait for the clock; each worker has a control plane of its own.
integration: WORKERS := -n 4 --dist loadfile --no-loadscope-reorder
e2e: SELECTED := -m "not long"
unit jobs contract integration e2e:
	@$(PYTEST) tests/$@ $(SELECTED) $(WORKERS) --durations=12 --durations-min=10

.PHONY: systems
systems: $(INSTALLED) ## All that the jobs do on a real node: retries, refusals, stops in their midst. A quarter of an hour.
	@$(PYTEST) $(foreach system,$(SYSTEMS),tests/e2e/test_$(system).py) --durations=12 --durations-min=10

.PHONY: short-faults faults
short-faults: $(INSTALLED)
	@$(PYTEST) tests/faults -m "not long"

faults: $(INSTALLED) ## Faults between operator and API server, a kill at every call, ten minutes of kills. An hour.
	@failed=0
	$(PYTEST) tests/faults || failed=1
	$(PYTHON) -m tests.faults || failed=1
	exit $$failed

.PHONY: bench
bench: $(INSTALLED) ## Measure the operator on a control plane of its own, and the jobs; prints figures.
	@$(PYTHON) -m tests.bench.operator
	for part in sdk $(SYSTEMS); do $(PYTHON) -m tests.bench.$$part; done

##@ Maintain
.PHONY: venv
venv: $(INSTALLED) ## Make .venv with exactly what requirements/dev.txt locks.

$(INSTALLED): requirements/dev.txt
	@runs() { "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
	find_python() { for name in python3.13 python3.12 python3.11 python3; do if runs $$name; then echo $$name; return; fi; done; }
	python=$$(find_python)
	if [ -z "$$python" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  echo "no Python 3.11 or newer with venv here: installing Debian's"
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 python3-venv >/dev/null
	  python=$$(find_python)
	fi
	if [ -z "$$python" ]; then
	  echo "No Python 3.11 or newer with the modules venv and ensurepip was found (on Debian and Ubuntu: apt-get install python3-venv)." >&2
	  exit 1
	fi
	runs $(PYTHON) || { rm -rf $(VENV); "$$python" -m venv $(VENV); }
	echo "installing requirements/dev.txt into $(VENV)"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r requirements/dev.txt
	rm -f $(VENV)/.installed-*
	touch $@

.PHONY: manifests
manifests: $(INSTALLED) ## Generate manifests/crd.yaml, the chart's copy of it, and manifests/install.yaml.
	@$(PYTHON) -m scheduledtask.api.crd > manifests/.crd.yaml
	mv manifests/.crd.yaml manifests/crd.yaml
	cp manifests/crd.yaml $(CHART)/files/crd.yaml
	$(PYTHON) -m tests.install > manifests/.install.yaml
	mv manifests/.install.yaml manifests/install.yaml

.PHONY: lock
lock: $(INSTALLED) ## Write requirements/*.txt and those of the images anew from each pyproject.toml.
	@$(PYTHON) -m pip install --quiet uv
	compile() {
	  $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml "$$@"
	}
	compile --output-file requirements/operator.txt
	compile --extra cli --group dev --output-file requirements/dev.txt
	# The same versions as here, but for packages that have one for each Python: an image takes the one that fits all.
	constraints=$$(mktemp)
	trap 'rm -f "$$constraints"' EXIT
	grep -v python_full_version requirements/dev.txt | grep -oE '^[A-Za-z0-9._-]+(\[[a-z]+\])?==[^ ;]+' >"$$constraints"
	for system in $(SYSTEMS); do
	  (cd job_images/$$system && $(CURDIR)/$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 \
	    --fork-strategy fewest --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --no-emit-package scheduledtask-sdk --constraints "$$constraints" --output-file requirements.txt pyproject.toml)
	done

.PHONY: clean
clean: ## Remove .venv and tool caches; built cluster programs stay in their cache.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +
