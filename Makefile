# The commands of this repository. `make demo` and `make test` need Python 3.11 or newer and nothing else:
# they make .venv, and the sandbox builds its cluster once, into the user's cache.
# Variables: PYTHON=… names the interpreter, ARGS=… goes to pytest or names benchmarks, KEEP=1 keeps the demo.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.SILENT:
.PHONY: help venv demo test lint bench generate clean

BIN := .venv/bin
READY := .venv/.ready
PYTHONS := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# bench is what the others share.
BENCHMARKS := $(filter-out bench,$(basename $(notdir $(wildcard benchmarks/*.py))))
CRDS := --directory crds --directory charts/rollouts/files/crds
PEER_CRDS := --group argoproj.io --directory charts/rollouts/files/crds-of-peers

# $(call stage,what,command): say what runs, run it, say how long it took.
stage = printf '\n==> %s\n' "$(1)" && started=$$(date +%s) && $(2) && \
  printf '==> %s: %d s\n' "$(1)" $$(( $$(date +%s) - started ))

help: ## this list
	sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

venv: $(READY) ## make the virtual environment

$(READY): pyproject.toml
	$(call stage,virtual environment,$(MAKE) --no-print-directory .venv/bin/python dependencies)
	touch $(READY)

.venv/bin/python:
	for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3.12' >&2; exit 1; \
	fi; \
	"$$found" -m venv .venv || { rm -rf .venv; \
	  echo "$$found cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# The sandbox is built with Go: the one on PATH if it is new enough, else the one that the extra brings.
.PHONY: dependencies
dependencies:
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --editable . --group dev
	$(BIN)/python -c 'from rollouts.sandbox import toolchain; toolchain.find()' 2>/dev/null || $(PIP) --editable '.[sandbox]'

demo: $(READY) ## play the story on a real control plane; KEEP=1 leaves it running
	$(call stage,demo,$(BIN)/rollouts sandbox demo $(if $(KEEP),--keep))

# The line that closes pytest's output says how long the tests took.
test: $(READY) ## run every test; those that need an API server start a real one
	printf '\n==> tests\n'
	$(BIN)/pytest $(ARGS)

lint: $(READY) ## style, types and the direction of imports
	$(call stage,style,$(BIN)/ruff check . && $(BIN)/ruff format --check .)
	$(call stage,types,$(BIN)/mypy)
	$(call stage,imports,$(BIN)/lint-imports)

generate: $(READY) ## write the CRDs and the reference from the models
	$(BIN)/python -m rollouts.api.crd $(CRDS)
	$(BIN)/python -m rollouts.api.crd $(PEER_CRDS)
	$(BIN)/python -m rollouts.api.reference --directory docs/reference

bench: $(READY) ## measure; one JSON line a benchmark; ARGS=idle measures only that one
	for name in $(or $(ARGS),$(BENCHMARKS)); do \
	  $(call stage,$$name,$(BIN)/python -m benchmarks.$$name) || exit 1; \
	done

clean: ## remove the virtual environment and the caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
