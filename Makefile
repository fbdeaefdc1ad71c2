# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test lint bench docs clean

help:
	@echo "make demo   run the main job on built-in rows (minutes, after the install)"
	@echo "make test   lint, then all tests"
	@echo "make lint   ruff and strict types"
	@echo "make bench  list the benchmarks with their prices"
	@echo "make docs   build the documentation into site/"

# torch comes first and alone, so that the version pinned here decides which build is taken.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/equipoise demo --out runs/demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A file of tests stays in one process, so that its fixtures are made once.
test: lint
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

bench: $(READY)
	$(BIN)/python -m benchmarks

docs: $(READY)
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) runs site
