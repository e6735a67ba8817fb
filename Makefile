PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test lint bench docs lock clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/euthymia: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Euthymia needs Python 3.11 or newer.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --only-binary :all: --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

install: $(BIN)/euthymia ## install into .venv (wheels only, no compiler)

demo: install ## simulate ketamine, Spravato and an SSRI in the same 1,000 patients; write demo/index.html
	$(BIN)/euthymia demo --out demo

test: install ## lint, types, import rules and all tests
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 -q

lint: install ## style, types and import rules only
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: ## speed against peers, in an environment of its own (see benchmarks/README.md)
	$(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt --editable .
	benchmarks/.venv/bin/python benchmarks/run.py
	benchmarks/.venv/bin/python benchmarks/full_chain.py
	benchmarks/.venv/bin/python benchmarks/trials.py
	benchmarks/.venv/bin/python benchmarks/rules.py
	benchmarks/.venv/bin/python benchmarks/search.py
	benchmarks/.venv/bin/python benchmarks/explorer.py

docs: install ## regenerate the docs pages that hold results
	$(BIN)/euthymia plasma --page docs
	$(BIN)/euthymia validate --page docs

lock: ## refresh requirements.lock from pyproject.toml (needs uv)
	uv pip compile --group dev pyproject.toml --universal --python-version 3.11 --only-binary :all: --no-annotate --no-header --output-file requirements.lock

clean: ## remove what the commands above made
	rm -rf $(VENV) demo .pytest_cache .ruff_cache
