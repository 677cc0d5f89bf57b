# Every target makes its own set-up: `make demo` and `make test` work in a fresh clone (Python 3.11 or newer is all they need).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-hapi serve test lint check bench growth laws deep docs profiles lock clean

# The system's own Python where it is new enough: distributions build theirs with profile-guided optimisation, and a push
# takes up to a tenth less time than with one that pyenv built. Another one: make PYTHON=/path/to/python3.12 ...
PYTHON ?= $(shell for python in /usr/bin/python3 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; done; echo $$python)
BIN := .venv/bin
READY := .venv/ready
RECORDS ?= 10000
EXAMPLES ?= 8000
STEPS ?= 40
PROCESSES ?= 2
KILLS ?= 1000
PLANS ?= 20000

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## a care plan travels from a municipality to the region and back
	@$(BIN)/fhir-adapter demo

demo-hapi: $(READY) ## the same with a real HAPI FHIR server as the region (needs Docker)
	@$(BIN)/python scripts/with_hapi.py $(BIN)/fhir-adapter demo --region '{url}'

serve: $(READY) ## a server with an empty store and four parties, to push to with curl
	@$(BIN)/fhir-adapter serve --demo

test: $(READY) ## all tests; those with a real HAPI skip where no container engine answers
	@$(BIN)/python -m pytest

lint: $(READY) ## format, lint and types, without changing anything
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check: lint test ## what to run before a commit

bench: $(READY) ## how fast the road is, beside the same work done bare
	@$(BIN)/python -m benchmarks.road
	@$(BIN)/python -m benchmarks.mapping
	@$(BIN)/python -m benchmarks.merge

growth: $(READY) ## ten minutes: what grows from 1,000 plans to PLANS
	@$(BIN)/python -m benchmarks.growth --plans $(PLANS)

laws: $(READY) ## half an hour: the laws of every mapping on RECORDS records each (MAPPINGS="se-sip my/folder/": only these)
	@$(BIN)/python -m tests.laws.deep --records $(RECORDS) --processes $(PROCESSES) $(MAPPINGS)

deep: $(READY) ## an hour or two: the state machine at length, workers killed a thousand times
	@$(BIN)/python -m tests.machine.deep --examples $(EXAMPLES) --steps $(STEPS) --processes $(PROCESSES)
	@$(BIN)/python -m tests.system.workers --workers 2 --kills $(KILLS)
	@$(BIN)/python -m tests.system.workers --workers 6 --kills $(KILLS)

docs: $(READY) ## write the tables in docs/mappings anew
	@$(BIN)/python -m fhir_adapter.mapping.report

profiles: ## compile profiles/input/fsh into profiles/package (needs node, npm, Maven)
	@profiles/build

lock: ## resolve the dependencies anew into requirements.lock
	@tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; $(PYTHON) -m venv "$$tools"; "$$tools/bin/pip" install --quiet uv; \
	printf 'setuptools>=77\n' | "$$tools/bin/uv" pip compile --quiet --universal --upgrade --generate-hashes --no-annotate \
		--python-version 3.11 --extra dev --custom-compile-command 'make lock' -o requirements.lock pyproject.toml -

clean: ## take away what the targets made
	rm -rf .venv .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Once, and again when the lock or the project's own description changes.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." \
			"Name another one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv (once, a minute or two) ..." >&2
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --no-deps --require-hashes --no-compile --progress-bar off -r requirements.lock \
		| awk '/^Collecting/ { printf "."; fflush() } END { print "" }' >&2
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@
