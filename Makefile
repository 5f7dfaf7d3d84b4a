# The one place that says how things are run; CI and the README call these targets.
PYTHON ?= python3
# One more than cores, since many tests wait for processes of theirs; who is done takes of what others have left.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml
# Reports are looked at in a real browser; where the machine is not ours to change, those tests are skipped.
INSTALL_BROWSER = { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; }

.PHONY: pilot pilot-llm demo results check test test-all test-frameworks lint format docs clean

# The embedded pilot: a learned agent in a household world, watched by a learned critic. Again: it finds everything done.
pilot: $(VENV)/.installed
	$(BIN)/forbear pilot run examples/pilot.toml

# The same with a real language model as agent and as critic, in this process: minutes on two cores, no key.
pilot-llm: $(VENV)/.installed-local
	$(BIN)/forbear pilot run examples/pilot_llm.toml

demo: $(VENV)/.installed
	$(BIN)/forbear decide --counts 35,7,11,47

# The benches' tables in docs/results.md: an hour of one core from nothing; again, it only counts. Those on real ALFWorld
# games, some minutes, where the games are.
results: $(VENV)/.installed
	$(BIN)/python measurements/bench_results.py household --write docs/results.md
	$(BIN)/python measurements/bench_results.py questions --write docs/results.md
	$(BIN)/python measurements/alfworld_results.py --write docs/results.md

# Fast inner loop: before every commit, under a minute.
check: lint
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m "not slow and not statistical"

# Everything that CI runs; ends with pytest's summary line.
test: lint
	HYPOTHESIS_PROFILE=many $(BIN)/pytest -q -n $(WORKERS) --dist worksteal

# And the adapters of agent frameworks, in environments that have those: a gigabyte each, made once. Prints one summary.
test-all: test test-frameworks

test-frameworks: $(VENV)/.installed-dev
	$(BIN)/python tests/frameworks.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The documentation as a site, from the same pages, with its pictures drawn anew: build/site/index.html.
docs: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	$(BIN)/python docs/pictures.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "build/site/index.html"

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"forbear needs Python 3.11 or newer, got {sys.version.split()[0]}. Name another: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-local: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	$(BIN)/forbear models install
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/forbear models install
	@command -v chromium >/dev/null || $(INSTALL_BROWSER) || echo "no chromium: the tests that look at reports are skipped"
	@touch $@ $(VENV)/.installed
