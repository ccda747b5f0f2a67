# Two commands matter: `make run` and `make test`. Each installs what it needs first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

BIN := .venv/bin
SITE ?= examples/default/site.yaml
PYTEST_ARGS ?=

.PHONY: help run test check format lint types imports migrations docs bench fuzz peers clean

help:  ## say what each command does
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/.run  ## install what it needs, then start the router (SITE=path for another configuration)
	@exec scripts/run.sh $(SITE)

test: .venv/.dev peers  ## install what it needs, then run all tests (PYTEST_ARGS='-k name' for some)
	@scripts/run_tests.sh $(PYTEST_ARGS)

check: format-check lint types imports migrations docs  ## format, lint, types, import contracts, migrations, docs

.PHONY: format-check
format-check: .venv/.dev
	$(BIN)/ruff format --check .

format: .venv/.dev  ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/.dev
	$(BIN)/ruff check .

types: .venv/.dev
	$(BIN)/mypy

imports: .venv/.dev
	$(BIN)/lint-imports

migrations: .venv/.dev
	@scripts/check_migrations.sh

docs: .venv/.dev
	$(BIN)/python scripts/check_docs.py

bench: .venv/.dev peers  ## measure against other makers' programs (bench/README.md)
	$(BIN)/python -m bench

fuzz: .venv/.dev  ## ten minutes of hostile bytes at the acceptor
	$(BIN)/pip install --quiet -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/router/dicom/fuzz_acceptor.py 600

peers:
	@scripts/install_peers.sh

clean:  ## remove the virtual environment, the peers and the caches (never var/, where objects lie)
	rm -rf .venv .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.venv/.run: pyproject.toml constraints.txt
	@scripts/install_python.sh run

.venv/.dev: pyproject.toml constraints.txt
	@scripts/install_python.sh dev
