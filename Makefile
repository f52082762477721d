# make help lists the targets. Two are enough: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
DATA := $(wildcard ../shared/data)
# One thread per process: two share two cores badly, and tests and workers are processes already.
export OMP_NUM_THREADS ?= 1
export NITERU_DATA ?= $(if $(DATA),$(abspath $(DATA)))

.DEFAULT_GOAL := help
.PHONY: help install demo test browser check format bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## set up .venv with the niteru command in it, and run nothing

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "niteru needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Say which one to use: make install PYTHON=python3.12")'
	@echo 'Setting up .venv, once: some minutes, mostly for torch. Should it break off, say the same again.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[train,parquet,dev]'
	@touch $@

demo: install ## render the sample catalogue, index it, serve it and query it (ARGS=--once ends by itself)
	$(BIN)/niteru demo $(ARGS)

test: install ## run the tests, a process for each core (ARGS is handed to pytest)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

browser: ## install Chromium and nginx from Debian's packages, for the tests that need them (as root)
	apt-get update -q
	apt-get install -y -q chromium nginx

check: install ## ruff, mypy strict, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## run the benchmarks, which print tables (ARGS is handed to each)
	@for bench in tests/bench/bench_*.py; do \
	  printf '\n== %s\n' "$$bench"; $(BIN)/python "$$bench" $(ARGS) || exit 1; \
	done

soak: install ## try to lose, mix or break what a store holds, for minutes (ARGS is handed on)
	$(BIN)/python tests/bench/soak_store.py $(ARGS)

clean: ## delete what these targets made
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
