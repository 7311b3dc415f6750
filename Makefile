# Two commands do everything on a fresh machine with Python 3.11+, its venv module and make: `make run` and `make test`.
# `make test PYTHON=python3.13` does it with another Python, in an environment of its own.
PYTHON ?= python3
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help run test check format bench clean FORCE .about-run
.NOTPARALLEL:

# An environment that another Python has made is made anew.
MADE_BY := $(shell sed -n 's/^version *= *\([0-9]*\.[0-9]*\).*/\1/p' $(VENV)/pyvenv.cfg 2>/dev/null)
ifneq ($(MADE_BY),)
ifneq ($(MADE_BY),$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
$(VENV)/.run $(VENV)/.dev: FORCE
endif
endif

help:  ## what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 20

run: .about-run $(VENV)/.run  ## set up, then run the demo: cloud and edge with a real pod and a real twin, until Ctrl-C
	$(BIN)/python -m kubeedge_actors.demo $(ARGS)

.about-run:
	@echo "make run: a cloud and an edge on this machine with a pod and a device; 20 seconds to the last step, then until Ctrl-C"

test: $(VENV)/.dev  ## set up, then run all tests
	$(BIN)/python -m pytest

check: $(VENV)/.dev  ## lint, format, types, import contracts (half a minute of CPU at first, two seconds when little has changed)
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
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: setup.cfg constraints.txt
	@tools/environment $(PYTHON) $(VENV) $@ cloud,docker,dashboard "what the demo needs, 20 MB to fetch, about a minute"

$(VENV)/.dev: setup.cfg constraints.txt
	@tools/environment $(PYTHON) $(VENV) $@ cloud,docker,dashboard,dmi,hosts,dev "what the tests need, 60 MB to fetch, two or three minutes"
	@touch $(VENV)/.run
