# make all    set up and run the preset of config.yaml        make test   set up and run the tests
# make lint   what CI checks beside the tests                 make lock   pin the newest versions anew

PYTHON ?= python3
# Programs are started through Python: their own first lines name its path, which a system may cut or take apart.
BIN := .venv/bin
RUN := $(BIN)/python -m
# Made relative, since Python 3.11 and 3.12 end at a path with an umlaut in such a file under LC_ALL=C.
EDITABLE := .venv/lib/python*/site-packages/_editable_impl_florilegium.pth
UV := uv==0.13.8

.PHONY: all test lint lock

all: .venv/.installed
	$(RUN) snakemake --cores all all

test: .venv/.installed
	$(RUN) pytest -n 3 --dist loadfile --durations 20

lint: .venv/.installed
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow/rules
	$(RUN) mypy

.venv/.installed: envs/requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN) pip install --quiet $(UV)
	$(RUN) uv pip sync --quiet --compile-bytecode envs/requirements.lock
	$(RUN) uv pip install --quiet --no-deps --editable .
	for path in $(EDITABLE); do echo ../../../../src > "$$path"; done
	touch $@

lock: .venv/.installed
	$(RUN) uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
		--extra dev --extra weights --extra export --no-header \
		--no-emit-index-url --no-emit-find-links --output-file envs/requirements.lock pyproject.toml
	$(BIN)/python envs/conda.py
