# Everything that one does with this checkout. `make` alone lists it.
#
# The first `make run` or `make test` makes `.venv` and installs the locked dependencies into it
# (every file checked against its hash); later ones find that nothing has changed and start at once.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
SOURCES := src tests tools bench

# The programs that may be Python 3.11 or newer, the best guess first; `make PYTHON=…` names another.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)

# Tests run in as many processes as there are cores, but no more than four: each has a database.
PYTEST := $(PY) -m pytest -n auto --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help run test check format bench bench-check chaos fuzz docs lock clean

help:  ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp  ## Install what is missing, and serve http://127.0.0.1:8000
	@exec $(PY) -m palaver serve $(ARGS)

test: $(VENV)/dev.stamp  ## Run all tests (ARGS="-k words" for some)
	@$(PYTEST) $(ARGS)

check: $(VENV)/dev.stamp  ## Format, style, types, layers, our own rules, freshness of the docs
	@$(PY) -m ruff format --check --quiet $(SOURCES)
	@$(PY) -m ruff check --quiet $(SOURCES)
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(PY) -m tools.lints
	@$(PY) -m tools.docs --check

format: $(VENV)/dev.stamp  ## Put the code into its form
	@$(PY) -m ruff format $(SOURCES)
	@$(PY) -m ruff check --fix $(SOURCES)

bench: $(VENV)/dev.stamp  ## Measure, and write docs/benchmarks.md
	@$(PY) bench/run.py $(ARGS)

bench-check: $(VENV)/dev.stamp  ## Fail when retrieval finds worse than bench/quality.json says
	@$(PY) -m bench.bench_quality --check $(ARGS)

chaos: $(VENV)/dev.stamp  ## Kill it 200 times under load on each database, compare all promises
	@$(PY) -m tests.chaos $(ARGS)

fuzz: $(VENV)/dev.stamp  ## Try every contract with generated requests, at length
	@$(PY) -m tests.conformance.fuzz $(ARGS)

docs: $(VENV)/dev.stamp  ## Write anew what the docs take from the code
	@$(PY) -m tools.docs
	@$(PY) -m pytest --quiet --no-header --write-schema tests/storage/test_migrate.py -k schema

# uv works in a folder of its own that is gone afterwards. No address of an index, none of this
# machine's settings and no path gets into the lock files.
UV := uv==0.13.8
COMPILE = UV_NO_CONFIG=1 "$$tools/bin/uv" pip compile --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(ARGS) pyproject.toml

lock: $(VENV)/venv.stamp  ## Write the lock files anew (ARGS=--upgrade for newer versions)
	@set -eu; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PY) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check --quiet install "$(UV)"; \
	$(COMPILE) --group build --output-file requirements.lock >/dev/null; \
	$(COMPILE) --group build --group test --group check --constraint requirements.lock \
		--output-file requirements-dev.lock >/dev/null

clean:  ## Remove what make and the tools have made (never ./data)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage

# A stamp is newer than what it stands for. `venv` also repairs an environment that was cut off.
$(VENV)/venv.stamp:
	@set -eu; for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv $(VENV); touch $@; exit 0; \
		fi; \
	done; \
	echo "Palaver needs Python 3.11 or newer; tried: $(PYTHONS). Name one: make PYTHON=…" >&2; exit 1

$(VENV)/run.stamp: $(VENV)/venv.stamp requirements.lock pyproject.toml
	@echo "Installing the dependencies into $(VENV) …"
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/venv.stamp requirements-dev.lock pyproject.toml
	@echo "Installing the dependencies and the tools of development into $(VENV) …"
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
