# Two commands do everything on a fresh machine: `make report` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= drocl-results
PROFILE ?= quick
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help env report verify figures test test-fast lint bench clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ -/' | sort

# lightly is a peer of the drop-in tests; without its own requirements, of which torchvision has no build for a CPU torch
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "drocl needs Python 3.11 or later; set PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt lightly
	@touch $(STAMP)

env: $(STAMP)  ## virtual environment with exact versions

report: $(STAMP)  ## every claim and figure at PROFILE, then the page; prints its path
	$(BIN)/drocl report --profile $(PROFILE) --out $(OUT)

verify: $(STAMP)  ## every claim at PROFILE, compared with CLAIMS.md
	$(BIN)/drocl verify --profile $(PROFILE) --out $(OUT) --check

figures: $(STAMP)  ## every figure at PROFILE
	$(BIN)/drocl figures --profile $(PROFILE) --out $(OUT)

# two workers on two cores: a second thread in each would wait for the first of the other, and costs up to four times as much;
# files go to them in their order, in which the last ones are short
test test-fast: export OMP_NUM_THREADS = 1
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(STAMP)  ## lint, types, every verdict against CLAIMS.md, the whole test suite with coverage
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/drocl verify --check --out $(OUT)
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=90

test-fast: $(STAMP)  ## without the slow tests, without coverage
	$(PYTEST) -m 'not slow'

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

bench: $(STAMP)  ## solver against cvxpy and torch, exact expectations against sampling, losses against their peers
	$(BIN)/python benchmarks/dro.py
	$(BIN)/python benchmarks/population.py
	$(BIN)/python benchmarks/losses.py

clean:  ## remove the environment and the results
	rm -rf $(VENV) $(OUT)
