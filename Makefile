# The same few verbs for people and for CI. Each works on a fresh checkout with Python 3.11+, git
# and make; the first one also makes .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo dev test test-fast coverage lint bench clean

demo: $(INSTALLED)
	$(BIN)/photopipe demo $(ARGS)

dev: $(INSTALLED)
	$(BIN)/photopipe dev $(ARGS)

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

# Unit tests without servers, browsers and networks' weights.
test-fast: $(INSTALLED)
	$(MAKE) test ARGS='-m "unit and not slow and not postgres" $(ARGS)'

# Takes a third longer.
coverage: $(INSTALLED)
	$(MAKE) test ARGS="--cov --cov-report=term:skip-covered --cov-fail-under=85"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/python docs/check_words.py
	! git grep -nE "^(<{7}|>{7}) "
	$(BIN)/dagster definitions validate
	$(BIN)/dg check defs

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

# Debian has venv and pip's wheels in a package of their own; without it half a .venv is made.
# Setuptools warns of editable installs as such.
$(INSTALLED): export PYTHONWARNINGS = ignore:Editable installation
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is no Python 3.11 or later. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

clean:
	rm -rf .venv build data demo benchmarks/out .mypy_cache .ruff_cache .pytest_cache
