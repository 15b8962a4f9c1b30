# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all check bench clean

demo: .venv/core
	$(BIN)/gradlab train digits

test: .venv/test
	$(BIN)/python -m pytest -n 2

# The long ones too, such as 10,000 random programs, and in random order.
test-all: .venv/test
	$(BIN)/python -m pytest -n 2 -m "" -p randomly

check: .venv/check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

bench: .venv/test
	$(BIN)/python -m benchmarks.eager_update

# Each stamp is an installation; a change of pyproject.toml installs again.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/test: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv/check: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[test,check]'
	@touch $@

clean:
	rm -rf .venv runs
