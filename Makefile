# One command each; every one does its own set-up on a bare Debian 12 machine, as root or with sudo.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV   := .venv
PYTHON := $(VENV)/bin/python
HOME_DIR ?= var/box
API ?= 127.0.0.1:8443
# Further listeners, as `cinnabar run` takes them: LISTEN="--management 127.0.0.1:9444 --tsa 127.0.0.1:3180"
LISTEN ?=

.PHONY: help demo test run bench lint docs lock sbom
help:            ## List the commands
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Machine set-up: what Debian packages the appliance needs to run, and those that check it from outside.
var/setup/run: provisioning/packages-run.txt
	@provisioning/install-packages provisioning/packages-run.txt
	@mkdir -p $(@D) && touch $@

var/setup/test: provisioning/packages-test.txt var/setup/run
	@provisioning/install-packages provisioning/packages-test.txt
	@mkdir -p $(@D) && touch $@

# Libraries that are not ours: only what the lock file names, by its hashes.
var/setup/npm: firmware_tests/others/npm/package-lock.json var/setup/run
	@# Debian's nodejs comes without npm, others' with it, and the two packages exclude each other.
	@command -v npm >/dev/null || provisioning/install-packages <(printf 'nodejs\nnpm\n')
	@npm ci --silent --no-fund --no-audit --prefix firmware_tests/others/npm
	@mkdir -p $(@D) && touch $@

$(VENV)/ready: requirements.lock pyproject.toml | var/setup/run
	@test -x $(PYTHON) || /usr/bin/python3 -m venv $(VENV)
	@$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@# That it is installed from this directory is meant; setuptools warns of it each time.
	@PYTHONWARNINGS=ignore:::setuptools.command.editable_wheel \
	  $(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: var/setup/run var/setup/npm $(VENV)/ready   ## Provision a rehearsal box; seal, stamp, log, witness, anchor and verify a letter; leaves everything in var/demo
	@$(PYTHON) -P -m provisioning.demo --home var/demo

run: var/setup/run $(VENV)/ready    ## Keep a box up in the foreground (HOME_DIR=var/box, API=127.0.0.1:8443, LISTEN="--tsa ...")
	@test -e $(HOME_DIR)/box.json || $(VENV)/bin/cinnabar provision --home $(HOME_DIR)
	@exec $(VENV)/bin/cinnabar run --home $(HOME_DIR) --api $(API) $(LISTEN)

test: var/setup/test var/setup/npm $(VENV)/ready  ## Lint, types, import rules and all tests
	@$(MAKE) --no-print-directory lint
	@$(PYTHON) -m pytest -n 2 --dist loadfile

bench: var/setup/test $(VENV)/ready ## Measure; prints each figure with its ratio, see docs/benchmarks.md
	@$(PYTHON) -m firmware_tests.bench

lint: $(VENV)/ready                 ## Ruff, mypy strict, import rules
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check -q .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

docs: $(VENV)/ready                 ## Make the generated reference pages anew
	@$(PYTHON) -m appliance.api.reference docs/api.md
	@$(PYTHON) -m appliance.box.reference docs/operations.md
	@$(PYTHON) -m firmware_tests.scenarios.systems.table docs/systems.md
	@$(PYTHON) -m appliance.letters.reference docs/kinds.md
	@$(PYTHON) -m appliance.keymaster.reference docs/actions.md

# The tool has an environment of its own: nothing of it stands beside the product.
var/sbom/bin/cyclonedx-py:
	@/usr/bin/python3 -m venv var/sbom
	@var/sbom/bin/python -m pip install -q --disable-pip-version-check cyclonedx-bom==7.5.0

sbom: var/sbom/bin/cyclonedx-py     ## Write var/cinnabar.cdx.json: each locked Python package with its hashes (CycloneDX)
	@var/sbom/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
	  -o var/cinnabar.cdx.json && echo var/cinnabar.cdx.json

lock: $(VENV)/ready                 ## Resolve the dependencies anew into requirements.lock
	@$(VENV)/bin/pip-compile -q --extra appliance --extra fabric --extra management --extra dev --generate-hashes --strip-extras --allow-unsafe \
	  --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock pyproject.toml
