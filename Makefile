# langchain-tamma-openai. `make` alone lists the targets.
#
# Needs Python 3.11 or newer and make, nothing else: each target builds what it misses in .venv, once.
#   PYTHON=python3.13   which Python makes .venv (default: the first of python3, python3.14 ... that is new enough)
#   ARGS="-k stream"    extra arguments for pytest, the demo or the benchmark

VENV   ?= .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP     = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# Tests must never reach the real API, whatever the shell has set.
OFFLINE := env -u OPENAI_API_KEY -u OPENAI_BASE_URL -u OPENAI_API_BASE -u OPENAI_ORG_ID -u OPENAI_PROJECT_ID \
	-u OPENAI_MODEL -u OPENAI_PROXY -u LANGSMITH_TRACING -u LANGCHAIN_TRACING_V2 -u LANGSMITH_API_KEY
PYTEST  = $(OFFLINE) $(BIN)/python -m pytest --disable-socket --allow-unix-socket --benchmark-disable -n 2
COVERAGE := --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help demo test lint format typecheck integration_tests coverage docs bench build release-check clean

help:  ## list the targets
	@echo "langchain-tamma-openai: make TARGET"
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMPS)/demo  ## a chain, a stream, an agent, structured output and a batch, with tokens and dollars
	@$(BIN)/python -m langchain_tamma_openai demo $(ARGS)

test: $(STAMPS)/test  ## all tests: unit tests without sockets, then integration tests on loopback
	@$(PYTEST) tests $(if $(MEASURE),$(COVERAGE)) $(ARGS)

integration_tests: $(STAMPS)/test  ## only the tests that talk to a server on loopback
	@$(PYTEST) tests/integration_tests $(ARGS)

coverage:  ## all tests; fails under 95 % of branches (the same as make test MEASURE=yes)
	@$(MAKE) --no-print-directory test MEASURE=yes

lint: $(STAMPS)/lint  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMPS)/lint  ## ruff: repair what can be repaired
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

typecheck: $(STAMPS)/lint $(STAMPS)/test $(STAMPS)/bench  ## mypy, strict, tests and benchmarks included
	@$(BIN)/mypy

docs: $(STAMPS)/docs  ## the documentation in build/site; any warning fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site
	@echo "built: build/site/index.html"

bench: $(STAMPS)/bench  ## CPU, wall time and memory beside the others (ARGS=--write for docs/benchmarks.md)
	@$(BIN)/python benchmarks/run.py --litellm $(ARGS)

build: $(STAMPS)/build  ## sdist and wheel in dist/
	@$(BIN)/python -m build

release-check: $(STAMPS)/build  ## build, look into what was built, and try it in a new environment of every Python at hand
	@$(OFFLINE) $(BIN)/python scripts/release_check.py

clean:  ## remove .venv and everything that was built
	rm -rf $(VENV) .venv-litellm dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per extra: the second run of a target installs nothing.
$(STAMPS)/venv:
	@new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
		if "$$candidate" -c "$$new_enough" 2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "No Python 3.11 or newer found (tried: $(or $(PYTHON),python3 and python3.11 to python3.14)); name one: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/demo $(STAMPS)/test $(STAMPS)/lint $(STAMPS)/docs $(STAMPS)/bench: $(STAMPS)/venv pyproject.toml
	@echo "Installing the package with its $(@F) extra into $(VENV) (once, a minute or two)"
	@$(PIP) --editable '.[$(@F)]'
	@touch $@

$(STAMPS)/build: $(STAMPS)/venv
	@$(PIP) 'build>=1.2' 'twine>=6'
	@touch $@
