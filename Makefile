# `make` alone lists the targets. Everything is installed into .venv; nothing of the system is touched but by `make test`
# as root, which installs Chromium and nginx from Debian's packages for the tests that use them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_COMPILE = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: install
install: $(VENV)/.installed ## Build the environment in .venv without starting anything

FRONTEND := $(shell find src/openstage/console/frontend -name node_modules -prune -o -type f -print)
# A folder that was moved needs its environment built anew: the mark says for which folder it is.
ifneq ($(shell cat $(VENV)/.installed 2>/dev/null),$(shell pwd -P))
.PHONY: $(VENV)/.installed
endif

$(VENV)/.installed: pyproject.toml requirements/runtime.txt scripts/install.sh hatch_build.py $(FRONTEND)
	@PYTHON="$(PYTHON)" bash scripts/install.sh runtime

.PHONY: install-dev
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(VENV)/.installed requirements/dev.txt
	@PYTHON="$(PYTHON)" bash scripts/install.sh dev

.PHONY: serve
serve: $(VENV)/.installed ## Start Openstage on embedded defaults and print what to do next
	@exec $(BIN)/openstage serve --first-app

.PHONY: demo
demo: $(VENV)/.installed ## Upload a synthesised clip through the video dialect and play it
	@exec $(BIN)/openstage demo video

.PHONY: lint
lint: install-dev ## Formatter, linter, import directions, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

.PHONY: format
format: install-dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: install-dev ## Install what the tests need and run the suite (under 15 minutes on two cores)
	@bash scripts/test-packages.sh
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

.PHONY: test-full
test-full: install-dev ## The suite and its slow tier: whole format matrix, two-hour files, long fuzzing, Firefox
	@bash scripts/test-packages.sh full
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest --timeout 3600

.PHONY: bench
bench: install-dev ## Measure against peers and write bench/results/
	@bash scripts/test-packages.sh bench
	$(BIN)/python -m bench
	$(BIN)/python -m bench search

.PHONY: docs
docs: install-dev ## Make the documents that are made from code (settings, commands)
	$(BIN)/openstage settings --markdown > docs/settings.md
	$(BIN)/python -m openstage.cli.reference > docs/commands.md

.PHONY: lock
lock: ## Renew the pinned versions (needs uv)
	$(UV_COMPILE) --extra server --group build --output-file requirements/runtime.txt
	$(UV_COMPILE) --extra server --group build --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

.PHONY: clean
clean: ## Remove the environment and everything built (not the data folder)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis src/openstage/console/static/built
