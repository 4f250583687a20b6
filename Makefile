# `make demo` and `make test` each work on a bare checkout: they make .venv first.

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
DEMO_OUTPUT ?= demo-output
EVALUATIONS_OUTPUT ?= demo-evaluations-output

.PHONY: demo demo-evaluations test test-slow lint lock clean help

help:
	@echo "make demo       pretrain, export and fine-tune on bundled data (minutes)"
	@echo "make demo-evaluations  the three evaluations of a made-up world (10 minutes)"
	@echo "make test       the tests"
	@echo "make test-slow  the tests marked slow"
	@echo "make lint       ruff"
	@echo "make lock       write constraints.txt anew from setup.py (needs uv)"

demo: $(INSTALLED)
	$(PYTHON) -m launch.demo --output=$(DEMO_OUTPUT)

demo-evaluations: $(INSTALLED)
	$(PYTHON) -m launch.demo_evaluations --output=$(EVALUATIONS_OUTPUT)

test: $(INSTALLED)
	$(PYTHON) -m pytest -q -n 2 --dist loadfile

test-slow: $(INSTALLED)
	$(PYTHON) -m pytest -q -m slow

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

lock:
	uv pip compile --universal --python-version 3.9 --no-emit-index-url \
	  --extra gpu --extra beam --extra demo --extra test setup.py \
	  --custom-compile-command "make lock" -o constraints.txt

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) $(EVALUATIONS_OUTPUT)

# seqeval, which tf-models asks for, has no wheel and builds in isolation alone
# (--use-pep517, pip's only way from 25.3 on).
# uv where there is one, else the newest Python from 3.9 to 3.11 that really runs and
# can make an environment.
$(INSTALLED): setup.py constraints.txt
	@if command -v uv >/dev/null 2>&1 && \
	    uv venv --quiet --allow-existing --python '>=3.9,<3.12' $(VENV); then \
	  echo "installing into $(VENV) with uv"; \
	  uv pip install --quiet --python $(PYTHON) -c constraints.txt -e '.[demo,test]'; \
	else \
	  for candidate in python3.11 python3.10 python3.9 python3 python; do \
	    if $$candidate -c 'import sys, venv, ensurepip; \
	        sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; \
	    then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "No Python 3.9, 3.10 or 3.11 with venv was found on PATH, and no uv." >&2; \
	    echo "TensorFlow 2.15 has builds for these alone. Install one (Debian: apt" >&2; \
	    echo "install python3.11-venv; anywhere: https://docs.astral.sh/uv)." >&2; \
	    exit 1; \
	  fi; \
	  echo "installing into $(VENV) with $$found"; \
	  $$found -m venv $(VENV) && \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --use-pep517 \
	    -c constraints.txt -e '.[demo,test]'; \
	fi
	@touch $@
