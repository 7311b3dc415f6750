# Two commands do everything on a fresh machine with Python 3.11+, its venv module and make: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run demo test check format house coverage mutants bench clean

help:  ## what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 20

run: $(VENV)/.run  ## set up, then run the demo: cloud and edge with a real pod and a real twin, until Ctrl-C
	$(BIN)/python -m kubeedge_actors.demo

test: $(VENV)/.dev  ## set up, then run all tests
	$(BIN)/python -m pytest

check: $(VENV)/.dev  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

house: $(VENV)/.dev  ## the structure in figures: layers, files, lines, cycles, repeats
	$(BIN)/python tools/house.py

coverage: $(VENV)/.dev  ## run all tests (or TESTS=...) and show what they do not reach, processes that they start included
	@$(BIN)/coverage erase
	@failed=0; $(BIN)/coverage run -m pytest $(TESTS) || failed=$$?; $(BIN)/coverage combine --quiet; \
	echo "The 20 files of which least is reached (all: $(BIN)/coverage report, or coverage html):"; \
	$(BIN)/coverage report --sort=cover | sed -n '1,22p;/^TOTAL/p'; exit $$failed

mutants: $(VENV)/.dev  ## make small mistakes in a copy of the code, and list those that no test notices: SAMPLE=40 SEED=1 AREA=supervisors
	@$(BIN)/python tools/mutants.py $(if $(AREA),--area $(AREA)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(ONLY),--only $(ONLY))

bench: $(VENV)/.dev  ## measure every budget, or BENCH="store codec", about 25 minutes; what is over its budget is marked
	@$(BIN)/python benchmarks/run.py $(BENCH)

clean:  ## remove what the targets above made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage .mutants .hypothesis .import_linter_cache
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
