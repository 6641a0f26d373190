# Everything a newcomer and a contributor runs. Each target makes what it needs; nothing needs root.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test lint types chaos soak bench bench-growth bench-scaling bench-peers plots flames plans guests clean

help:
	@echo "make demo    run a workflow, kill its worker, show that it goes on (embedded PostgreSQL)"
	@echo "make test    everything that must pass"
	@echo "make lint types   ruff and mypy"
	@echo "make chaos   long runs with random faults"
	@echo "make soak    an even load for HOURS (4 by default): nothing may grow that should not"
	@echo "make bench   figures of this machine (about ten minutes)"
	@echo "make bench-growth bench-scaling bench-peers   beside millions of tasks, more workers, beside other engines"
	@echo "make plans plots flames   plans of SQL, pictures"
	@echo "make guests  build the example and test workflows again (needs Rust)"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("durable needs Python 3.11 or newer; set PYTHON=python3.x") if sys.version_info < (3, 11) else None'
	@echo "installing durable and what it needs into $(VENV); this takes about a minute, and once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --constraint constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not chaos'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

chaos: $(STAMP)
	PROOF_FULL=1 $(BIN)/python -m pytest -n 3 --dist load --maxschedchunk 1 -rP -m 'chaos or proof' --timeout=1800

HOURS ?= 4
soak: $(STAMP)
	$(BIN)/python -m tests.chaos.soak --hours $(HOURS)

bench: $(STAMP)
	$(BIN)/python -m benchmarks

bench-growth: $(STAMP)
	$(BIN)/python -m benchmarks growth

bench-scaling: $(STAMP)
	$(BIN)/python -m benchmarks scaling fleet

bench-peers: $(STAMP)
	$(BIN)/python -m benchmarks.peers

plots: $(STAMP)
	$$($(BIN)/python -m benchmarks.environments plots)/python benchmarks/plots.py

flames: $(STAMP)
	$(BIN)/python -m benchmarks.flames

plans: $(STAMP)
	$(BIN)/python -m benchmarks.plans

guests:
	guest-rust/build

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
