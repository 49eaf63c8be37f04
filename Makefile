# Each target does all of its own set-up. No logic lives here: see tools/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check bench sample clean

run: $(VENV)/.installed
	$(BIN)/nova-objectstore $(ARGS)

test: $(VENV)/.installed-dev
	tools/system-packages
	$(BIN)/pytest $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	tools/system-packages
	$(BIN)/python -m benchmarks $(ARGS)

sample: $(VENV)/.installed
	$(BIN)/python tools/render-sample > etc/nova.conf.sample

$(VENV)/bin/python:
	tools/make-venv $(VENV) $(PYTHON)

$(VENV)/.installed: $(VENV)/bin/python setup.py
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
