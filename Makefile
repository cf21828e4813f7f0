# The commands that a developer needs. `.ci/run` does setup, test, lint and types.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup test faults lint format types docs

help: ## Show the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## Make .venv with everything that tests need
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q torch==2.13.0 -e '.[cpu,serve,train,matfold,dev]'

test: ## Run the tests; choose some with TESTS="tests/store -k delta"
	$(BIN)/python -m pytest $(TESTS)

faults: ## Let disks and stores fail below every command that writes, for hours; resumes
	PYTHONPATH=tests:. $(BIN)/python -m faults.long --state faults.json

lint: ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: ## Check types
	$(BIN)/mypy

docs: ## Build the site into build/site, strictly and offline
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
