# Needs Python 3.11 or newer and make, nothing else. Everything it installs lies in .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt

# Bytecode is kept, whatever the caller's environment says: with it, a second start takes seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test lint format clean

help:
	@echo "make demo     a microgrid of an AI campus, emulated and controlled on this machine"
	@echo "make test     lint, types and all tests"
	@echo "make install  the environment for development, in $(VENV)/"
	@echo "make lint | format | clean"

install: $(VENV)/dev.stamp

demo: $(VENV)/runtime.stamp
	@$(BIN)/gridhelm demo

# Types are checked beside the tests: each leaves one of two cores idle for part of its time.
test: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy >$(VENV)/mypy.log 2>&1 & types=$$!; \
	tests=0; $(BIN)/pytest -n 2 || tests=$$?; \
	if wait $$types; then cat $(VENV)/mypy.log; else cat $(VENV)/mypy.log; exit 1; fi; \
	exit $$tests

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say that .venv/ holds what pyproject.toml and constraints.txt ask for: a second run starts at once.
$(VENV)/runtime.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing gridhelm into $(VENV)/ (once; a minute or two) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing gridhelm and its tools into $(VENV)/ (once; a minute or two) ..."
	@$(PIP) --editable '.[dev]'
	@touch $(VENV)/runtime.stamp $@

$(BIN)/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$python cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
		fi; \
	done; \
	echo "gridhelm needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1). Say which: make PYTHON=/path/to/python3.12" >&2; exit 1
