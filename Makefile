# Everything a person types stands here; `make` alone lists it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
BATTERY ?=
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help
.PHONY: help install retrain test test-full check format bench audit lock clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## create .venv and install everything that runs Vintage

retrain: $(STAMP) ## candles -> validated, versioned model -> signal, on the simulated exchange
	@$(RUN) -m pipeline retrain recipe=demo
	@echo
	@$(RUN) -m pipeline predict recipe=demo
	@echo
	@echo "To type vintage and dvc yourself: source $(VENV)/bin/activate"

test: $(DEV_STAMP) ## every test, at most 15 minutes on two cores
	@$(RUN) -m pytest -n 2

test-full: $(DEV_STAMP) ## the same at full volume (20 x the examples), or one part: BATTERY=property
	@VINTAGE_FULL=1 $(RUN) -m pytest -n 2 $(if $(BATTERY),-k $(BATTERY),)

check: $(DEV_STAMP) ## format, lint, types, layers
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports

format: $(DEV_STAMP) ## rewrite the code in the house format
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

bench: $(STAMP) ## speed and memory beside named peers, as ratios of the same run
	@tests/bench/run.sh

audit: $(STAMP) ## run the audit that is shipped, docs/audits/demo.json, anew after a change of code (five minutes)
	@home=$$(mktemp -d) && cp params.yaml $$home && \
	VINTAGE_HOME=$$home $(RUN) -m pipeline audit recipe=demo --full && \
	cp $$home/reports/audits/demo-*.json docs/audits/demo.json && rm -rf $$home

lock: ## write requirements*.lock anew from pyproject.toml
	@tests/lock.sh

clean: ## delete what can be built again; the candle store, the registry and audits stay
	@find reports -mindepth 1 -maxdepth 1 ! -name audits -exec rm -rf {} + 2>/dev/null || true
	@rm -rf build data/raw data/clean data/features data/labels data/predictions models/candidate
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3,11) <= sys.version_info[:2] < (3,14) else "Vintage needs Python 3.11, 3.12 or 3.13; this is %s. To do: make PYTHON=python3.11 retrain" % sys.version.split()[0])'
	@test -x $(RUN) || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing exact versions (about two minutes the first time)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 
	@touch $@

$(DEV_STAMP): $(STAMP) requirements-dev.lock
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@
