# Two commands do everything on a fresh machine with Python 3.11+, its venv module and make: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help run demo test test-fast test-under-load about-test about-fast check format bench clean

help:  ## what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 24

run: $(VENV)/.run  ## set up, then run the demo: cloud and edge with a real pod and a real twin, until Ctrl-C
	$(BIN)/python -m kubeedge_actors.demo

test: about-test $(VENV)/.dev  ## set up, then run all tests
	$(BIN)/python -m pytest

test-fast: about-fast $(VENV)/.dev  ## the tests that start no process and take no second each
	$(BIN)/python -m pytest -m "not processes and not slow"

test-under-load: $(VENV)/.dev  ## what load can disturb, beside three busy loops; PASSES=3
	$(BIN)/python -m tests.support.under_load $(PASSES)

about-test:
	@echo "About 5,700 tests in random order, one worker for each core: about 5 minutes on two quiet cores (the set-up not counted)."
	@echo "What fails is named when it happens, and explained at the end; so is what was skipped for want of what."

about-fast:
	@echo "The tests without processes and Docker: about a minute on two quiet cores (the set-up not counted)."

check: $(VENV)/.dev  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## measure every budget against a baseline in the same run
	@set -e; for benchmark in $(BENCHMARKS); do echo "== $$benchmark"; $(BIN)/python $$benchmark; done

clean:  ## remove what the targets above made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is needed: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

$(VENV)/.run: setup.cfg constraints.txt $(VENV)/bin/pip
	@echo "Installing what the demo needs into $(VENV) (once) ..."
	@$(PIP) --editable '.[cloud,docker,dashboard]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(PIP) --editable '.[cloud,docker,dashboard,dmi,hosts,dev]'
	@touch $@
