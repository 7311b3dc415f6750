# Two commands do everything on a fresh machine with Python 3.11+, its venv module and make: `make run` and `make test`.
# `make test PYTHON=python3.13` does it with another Python, in an environment of its own.
PYTHON ?= python3
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-under-load about-test about-fast check format house coverage mutants bench attack fuzz lock audit sbom clean FORCE .about-run
.NOTPARALLEL:
# Tests start hundreds of processes: without bytecode each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

# An environment that another Python has made is made anew.
MADE_BY := $(shell sed -n 's/^version *= *\([0-9]*\.[0-9]*\).*/\1/p' $(VENV)/pyvenv.cfg 2>/dev/null)
ifneq ($(MADE_BY),)
ifneq ($(MADE_BY),$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
$(VENV)/.run $(VENV)/.dev: FORCE
endif
endif

help:  ## what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 24

run: .about-run $(VENV)/.run  ## set up, then run the demo: cloud and edge with a real pod and a real twin, until Ctrl-C
	$(BIN)/python -m kubeedge_actors.demo $(ARGS)

.about-run:
	@echo "make run: a cloud and an edge on this machine with a pod and a device; 20 seconds to the last step, then until Ctrl-C"

test: about-test $(VENV)/.dev  ## set up, then run all tests; THOROUGH=1: four times as many examples of what Hypothesis makes up, two minutes more
	$(BIN)/python -m pytest $(if $(THOROUGH),--hypothesis-profile=thorough)

test-fast: about-fast $(VENV)/.dev  ## the tests that start no process and take no second each
	$(BIN)/python -m pytest -m "not processes and not slow"

test-under-load: $(VENV)/.dev  ## what load can disturb, beside three busy loops; PASSES=3
	$(BIN)/python -m tests.support.under_load $(PASSES)

about-test:
	@echo "About 9,100 tests in random order, a worker more than there are cores: about 10 minutes on two quiet cores (the set-up not counted)."
	@echo "What fails is named when it happens, and explained at the end; so is what was skipped for want of what."

about-fast:
	@echo "The tests without processes and Docker: about a minute on two quiet cores (the set-up not counted)."

check: $(VENV)/.dev  ## lint, format, types, import contracts, limits of the structure (half a minute of CPU at first, four seconds when little has changed)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/house.py --check

format: $(VENV)/.dev  ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

house: $(VENV)/.dev  ## the structure in figures: layers, files, lines, cycles, repeats, and what is over its limit
	$(BIN)/python tools/house.py

coverage: $(VENV)/.dev  ## run all tests (or TESTS=...) and show what they do not reach, processes that they start included
	@$(BIN)/coverage erase
	@failed=0; $(BIN)/coverage run -m pytest $(TESTS) || failed=$$?; $(BIN)/coverage combine --quiet; \
	echo "The 20 files of which least is reached (all: $(BIN)/coverage report, or coverage html):"; \
	$(BIN)/coverage report --sort=cover | sed -n '1,22p;/^TOTAL/p'; exit $$failed

mutants: $(VENV)/.dev  ## make small mistakes in a copy of the code, and list those that no test notices: SAMPLE=40 SEED=1 AREA=supervisors, or ONLY=FILE:LINE TESTS=...
	@$(BIN)/python tools/mutants.py $(if $(AREA),--area $(AREA)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(TESTS),--tests $(TESTS))

bench: $(VENV)/.dev  ## measure every budget, or BENCH="store codec", about 25 minutes; what is over its budget is marked
	@$(BIN)/python benchmarks/run.py $(BENCH)

attack: $(VENV)/.dev  ## 636,000 hostile frames of a joined node against a real cloud, 700 hostile pods against a real edge: 4 minutes; FRAMES=50000
	@$(BIN)/python -m tests.security.attack $(FRAMES)

lock: .venv-audit/.audit  ## write constraints.txt, requirements/*.txt and deploy/edge-requirements.txt anew: UPGRADE=1, or UPGRADE="h11 docker"
	@tools/lock .venv-audit/bin/uv $(if $(filter 1,$(UPGRADE)),--upgrade,$(addprefix --upgrade-package=,$(UPGRADE)))

audit: .venv-audit/.audit  ## whether a fault is known of a locked library (pip-audit); says so when no database can be reached
	@.venv-audit/bin/python tools/audit.py .venv-audit/bin/pip-audit constraints.txt requirements/audit.txt

sbom: .venv-audit/.audit .venv-sbom/.run  ## write build/sbom.json: what a cloud, an edge, Docker pods and the dashboard are made of (CycloneDX)
	@mkdir -p build
	@.venv-audit/bin/cyclonedx-py environment --output-reproducible --output-file build/sbom.json .venv-sbom/bin/python
	@echo "build/sbom.json"

fuzz: $(VENV)/.dev  ## feed what reads bytes from outside with bad ones: SECONDS=60 TARGET=mqtt|hub|http|protobuf|yaml|tunnel
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/pip install --quiet --only-binary :all: "atheris>=2.3" || echo "atheris can not be had for this Python"
	@for target in $(or $(TARGET),mqtt hub http protobuf yaml tunnel); do $(BIN)/python -m tests.security.fuzz $$target $(or $(SECONDS),60) || exit 1; done

clean:  ## remove what the targets above made
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage .mutants .fuzz .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: setup.cfg requirements/build.txt requirements/run.txt
	@tools/environment $(PYTHON) $(VENV) $@ requirements/run.txt "what the demo needs, 20 MB to fetch, about a minute"

$(VENV)/.dev: setup.cfg requirements/build.txt constraints.txt
	@tools/environment $(PYTHON) $(VENV) $@ constraints.txt "what the tests need, 60 MB to fetch, two or three minutes"
	@touch $(VENV)/.run

# what looks at the libraries is none of them
.venv-audit/.audit: requirements/audit.txt
	@echo "Setting up .venv-audit, once: pip-audit, cyclonedx-bom, uv ..."
	@rm -rf .venv-audit && $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all: -r $<
	@touch $@

.venv-sbom/.run: setup.cfg requirements/build.txt requirements/run.txt
	@tools/environment $(PYTHON) .venv-sbom $@ requirements/run.txt "what the bill of materials is written of"
