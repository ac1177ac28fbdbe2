# Each target builds .venv when it is missing; all a machine needs is Python 3.11, pip and make.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## run the first pipeline on real files in a real Airflow (UI=1 leaves Airflow up, DAG=name picks another)
	$(BIN)/python -m airflow_provider_globus.sandbox.demo $(if $(DAG),--dag $(DAG)) $(if $(UI),--ui)

test: $(STAMP)  ## run all tests
	$(BIN)/pytest

lint: $(STAMP)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## measure import cost and polling, as ratios in one run
	$(BIN)/python -m benchmarks

clean:  ## remove what the targets made
	rm -rf $(VENV) .demo .bench dist .mypy_cache .ruff_cache .pytest_cache
