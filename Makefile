# Two commands do everything: `make demo` and `make test`. Both set the environment up when it is missing.

PYTHON ?= $(shell for candidate in python3.11 python3.12 python3.13 python3; do \
	command -v $$candidate >/dev/null 2>&1 && \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$candidate && break; done)
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/ready
ARGS ?=

.PHONY: setup demo up test check lint types format bench chaos audit requirements clean

setup: $(READY)

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found on PATH."; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) (a minute or two) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)
	@$(RUN)/salingjaga up --demo $(ARGS)

up: $(READY)
	@$(RUN)/salingjaga up $(ARGS)

test: $(READY)
	$(RUN)/pytest $(ARGS)

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/lint-imports

types: $(READY)
	$(RUN)/mypy

check: lint types test

format: $(READY)
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

bench: $(READY)
	$(RUN)/salingjaga bench $(ARGS)

# Break everything under load and count every receipt: some fifteen minutes.
chaos: $(READY)
	$(RUN)/python -m tests.chaos $(ARGS)

# Ask the advisory service of PyPI for known weaknesses of what is pinned.
audit: $(READY)
	@$(RUN)/pip-audit --strict --require-hashes --disable-pip -r requirements.txt || { status=$$?; \
		echo "Either weaknesses are listed above, or the advisory service could not be asked; see which."; exit $$status; }

# Pin what pyproject.toml asks for, with hashes and without naming any index.
requirements: $(READY)
	$(RUN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade -o requirements.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
