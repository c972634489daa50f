# Every target builds the environment it needs; nothing is installed outside this folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVES := $(VENV)/.serves
READY := $(VENV)/.ready
JOBS ?= 2
MNIST ?=
ONLY ?=
MINUTES ?= 10
SEED ?=
SECONDS ?=

.DEFAULT_GOAL := help
.PHONY: help env demo serve test test-all docs docs-test chaos soak lint bench clean

help: ## what one can make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(READY) ## the environment with everything, in .venv

SERVING := ./client[plots,hxtorch] ./emulator ./pictures .[api,grpc,worker,datasets,local] ./letters ./planner
DEVELOPING := ./client[notebook,kernel,onnx,docs] .[dev,tracing]
# Only what is imported is compiled, when it is imported: compiling everything takes longer than the rest.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

$(SERVES): constraints.txt pyproject.toml $(wildcard */pyproject.toml)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hxserve needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) $(foreach each,$(SERVING),--editable "$(each)")
	touch $@

$(READY): $(SERVES)
	$(INSTALL) $(foreach each,$(DEVELOPING),--editable "$(each)")
	touch $@

demo: $(SERVES) ## train, classify and sum up, in the mock of a chip (MNIST=folder)
	@$(BIN)/python -m deploy.demo $(if $(MNIST),--mnist $(MNIST))

serve: $(SERVES) ## the service on this machine, until Ctrl-C (MNIST=folder)
	@$(BIN)/hxserve up $(if $(MNIST),--mnist $(MNIST))

# Files go to the processes in the order that tests/conftest.py gives them, the longest first.
PYTEST := $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(READY) ## every promise once, in minutes, by file in two processes (JOBS=2)
	$(PYTEST) -m 'not long'

test-all: $(READY) ## all tests, those of `make test` among them (JOBS=2)
	$(PYTEST)

docs: $(READY) ## the documentation as pages in build/docs, with the reference; a warning is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/docs

docs-test: $(READY) ## the documentation: its commands, notebook, examples, links
	$(BIN)/python -m pytest -q tests/docs

chaos: $(READY) ## the long chaos suite: real processes, disturbed twenty times each (SEED=number)
	CHAOS=long $(if $(SEED),CHAOS_SEED=$(SEED)) $(BIN)/python -m pytest -q tests/system/chaos -p no:randomly

soak: $(READY) ## mixed load with random kills; loses nothing, grows nowhere (MINUTES=10)
	$(BIN)/python -m tests.system.soak --minutes $(MINUTES)

lint: $(READY) ## lint, format, types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## measurements beside their alternatives (ONLY=serving,peers SECONDS=8 MNIST=folder)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(MNIST),--mnist $(MNIST))

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		benchmarks/results benchmarks/.venvs
