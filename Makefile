# Two commands on a fresh machine with Python >= 3.11, git and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# As a path: the finder that setuptools would install otherwise is loaded by every start of Python, and takes 5 ms of it.
EDITABLE := $(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable

.PHONY: demo test lint types unit bench docs clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(EDITABLE) .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(EDITABLE) '.[dev]'
	touch $@

# The SDK for MCP in its other major: semantic-kernel, which the tests need as well, keeps it below 2.
$(VENV)/installed-mcp2: $(VENV)/installed-dev
	$(PYTHON) -m venv $(VENV)/mcp2
	$(subst $(BIN),$(VENV)/mcp2/bin,$(EDITABLE)) . 'mcp>=2,<3'
	touch $@

demo: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

test: lint types unit

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/installed-dev
	$(BIN)/mypy

unit: $(VENV)/installed-dev $(VENV)/installed-mcp2
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

bench: $(VENV)/installed-dev
	$(EDITABLE) '.[bench]'
	$(BIN)/python -m compileall -q chronos historian skills
	$(BIN)/python -m benchmarks.risk --write; risk=$$?; $(BIN)/python -m benchmarks --write && exit $$risk

docs: $(VENV)/installed-dev
	$(BIN)/python -m chronos.cli.reference

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
