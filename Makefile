# Each target does all of its own set-up. No logic lives here: see tools/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check bench crash faults power fuzz sbom soak linearizability sample clean

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

soak: $(VENV)/.installed-bench
	$(BIN)/python tools/soak $(ARGS)

linearizability: $(VENV)/.installed-dev
	$(BIN)/python tools/linearizability $(ARGS)

faults: $(VENV)/.installed-dev
	tools/system-packages
	$(BIN)/python tools/faults $(ARGS)

power: $(VENV)/.installed-dev
	tools/system-packages
	$(BIN)/python tools/power $(ARGS)

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tools/fuzz $(ARGS)

sbom: $(VENV)/.installed-dev
	$(BIN)/python tools/sbom $(ARGS)

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
