# Every target sets up what it needs: a machine with Python 3.11 or newer is enough.
#   PYTHON=/path/to/python3   the interpreter to make the environment with
#   VENV=.venv-other          another environment, for example for another Python

VENV ?= .venv
export VENV PYTHON

SETUP := ./scripts/setup
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo demo-fabric test test-slow test-long lint fmt types proto proto-check bench interop clean
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## watch a few nodes find each other and talk
	@$(SETUP) run
	@$(RUN) examples/demo.py

demo-fabric: ## watch Fabric peers elect leaders and carry blocks to every ledger
	@$(SETUP) fabric
	@$(RUN) -m pubsub.cli.fabric_command demo

test: ## run the tests (under a minute)
	@$(SETUP) test
	@$(RUN) -m pytest tests -q -n auto -m "not slow"

test-slow: ## run the tests that take longer
	@$(SETUP) test
	@$(RUN) -m pytest tests -q -n auto -m "slow and not long" --timeout=300
	@echo "100,000 hostile inputs for each parser of the transport ..."
	@PUBSUB_FUZZ=100000 $(RUN) -m pytest tests/property/test_transport_fuzz.py -q -n auto --timeout=300

test-long: ## run the simulations that test-slow leaves out
	@$(SETUP) test
	@$(RUN) -m pytest tests -q -n auto -m long --timeout=300

lint: ## check style and formatting
	@$(SETUP) lint
	@$(RUN) -m ruff check --quiet --output-format concise .
	@$(RUN) -m ruff format --check --quiet . || { echo "error: files are not formatted: run 'make fmt'" >&2; exit 1; }
	@echo "lint: ok"

fmt: ## format the code and repair what can be repaired by machine
	@$(SETUP) lint
	@$(RUN) -m ruff check --fix --exit-zero --quiet .
	@$(RUN) -m ruff format .

types: ## check the types (mypy, strict)
	@$(SETUP) types
	@$(RUN) -m mypy

proto: ## generate pubsub/pb/ from proto/
	@$(SETUP) proto
	@$(VENV)-proto/bin/python scripts/make_proto.py

proto-check: ## check that pubsub/pb/ is what proto/ generates
	@$(SETUP) proto
	@$(VENV)-proto/bin/python scripts/make_proto.py --check

bench: ## measure how many messages a second two nodes carry
	@$(SETUP) run
	@$(RUN) benchmarks/pair.py

interop: ## talk to the Go and JavaScript implementations (builds them first)
	@$(SETUP) test
	@$(RUN) -m pytest interop -q -rs --timeout=600

clean: ## remove caches and build output (the environments stay)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	@find pubsub tests interop benchmarks examples scripts -name __pycache__ -prune -exec rm -rf {} +
	@echo "clean: removed caches and build output"
