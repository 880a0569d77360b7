# make all    set up and run the preset of config.yaml        make test   set up and run the tests
# make lint   what CI checks beside the tests                 make lock   pin the newest versions anew

PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.8

.PHONY: all test lint lock

all: .venv/.installed
	$(BIN)/snakemake --cores all all

test: .venv/.installed
	$(BIN)/pytest -n 2 --dist loadfile

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/mypy

.venv/.installed: envs/requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(UV)
	$(BIN)/uv pip sync --quiet --compile-bytecode envs/requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

lock: .venv/.installed
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 --extra dev \
		--no-header --no-emit-index-url --no-emit-find-links --output-file envs/requirements.lock pyproject.toml
	$(BIN)/python envs/conda.py
