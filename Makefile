# Each target does all of its own set-up. No logic lives here: see tools/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check bench crash sample clean

run: $(VENV)/.installed
	$(BIN)/nova-objectstore $(ARGS)

test: $(VENV)/.installed-dev
	tools/system-packages
	$(BIN)/pytest $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench
	tools/system-packages
	$(BIN)/python -m benchmarks $(ARGS)

crash: $(VENV)/.installed-dev
	$(BIN)/python tools/crash $(ARGS)

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

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
