# `make demo` and `make test` each work on a bare checkout: they make .venv first.

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
DEMO_OUTPUT ?= demo-output
EVALUATIONS_OUTPUT ?= demo-evaluations-output

# `current`: TensorFlow 2.20 on Python 3.12 or 3.13, also where there is an older Python.
STACK ?=

EDGES := tests/test_stack.py tests/export/test_trunk_export.py tests/trunk tests/tasks \
  tests/images/test_replacement_ops.py tests/images/test_color.py tests/hybrid \
  tests/eval/imagenet_linear/test_linear_run.py \
  tests/eval/nyuv2_depth/test_depth_run.py \
  tests/eval/voc07_detection/test_detection_run.py \
  tests/data_prep/sources/test_photo_conversion.py tests/data_prep/sources/test_video_builder.py

# Programs that benchmarks compare with, each in an environment of its own.
PEERS := $(VENV)-peers
JAX := $(VENV)-jax
PEERS_INDEX ?=
TORCH ?= torch==2.13.0+cpu
BENCH_FLAGS ?=
ACCELERATOR_OUTPUT ?= accelerator-steps

.PHONY: demo demo-evaluations test test-slow test-edges test-onnx test-all bench \
  check-accelerator lint lock clean help

help:
	@echo "make demo       pretrain, export, fine-tune, report on bundled data (minutes)"
	@echo "make demo-evaluations  the three evaluations on a synthetic world (a quarter of an hour)"
	@echo "make test       the tests"
	@echo "make test-slow  the tests marked slow"
	@echo "make test-onnx  the test of --format=onnx, with the packages that it needs"
	@echo "make bench      speed against peers and limits (docs/performance.md; an hour)"
	@echo "make check-accelerator  the steps for an accelerator, on the CPU with JAX"
	@echo "make test-all   all tests on both sets of packages (README: Which TensorFlow)"
	@echo "make lint       ruff and mypy"
	@echo "make lock       rewrite constraints.txt from setup.py (needs uv)"

demo: $(INSTALLED)
	$(PYTHON) -m launch.demo --output=$(DEMO_OUTPUT)

demo-evaluations: $(INSTALLED)
	$(PYTHON) -m launch.study --study=demo --output=$(EVALUATIONS_OUTPUT)

test: $(INSTALLED)
	$(PYTHON) -m pytest -q -n 2 --dist loadfile

test-slow: $(INSTALLED)
	$(PYTHON) -m pytest -q -m slow

# What touches TensorFlow's, Keras's and tf-models' edges.
test-edges: $(INSTALLED)
	$(PYTHON) -m pytest -q -n 2 --dist loadfile $(EDGES)

test-onnx: $(VENV)/.onnx
	$(PYTHON) -m pytest -q tests/export/test_onnx_export.py

$(VENV)/.onnx: $(INSTALLED)
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  installer="$(PYTHON) -m pip --disable-pip-version-check install --use-pep517"; \
	else \
	  uv=$$(command -v uv || echo $(VENV)-uv/bin/uv); \
	  installer="$$uv pip install --python $(PYTHON)"; \
	fi; \
	$$installer --quiet -c constraints.txt -e '.[onnx]'
	@touch $@

bench: $(VENV)/.onnx $(PEERS)/.installed
	$(PYTHON) -m tests.benchmarks --peers=$(abspath $(PEERS))/bin/python $(BENCH_FLAGS)

# Without dependencies: PyTorch and timm need little of them for a network's steps.
$(PEERS)/.installed: $(INSTALLED)
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  $(if $(PEERS_INDEX),--extra-index-url $(PEERS_INDEX)) $(TORCH) timm==1.0.31 \
	  safetensors huggingface_hub || { \
	  echo "pip found no $(TORCH): name an index with PyTorch for CPUs, as in make bench" \
	    "PEERS_INDEX=https://download.pytorch.org/whl/cpu, or another build, as in" \
	    "TORCH=torch. Without peers: $(PYTHON) -m tests.benchmarks" >&2; exit 1; }
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check numpy pillow \
	  pyyaml typing_extensions sympy networkx jinja2 fsspec filelock
	@touch $@

check-accelerator: $(INSTALLED) $(JAX)/.installed
	$(PYTHON) -m tests.benchmarks.accelerator --output=$(ACCELERATOR_OUTPUT) \
	  --preset=tiny --size=64 --batches=4 --compare_tasks \
	  --task_set=relative_position.batch_size=4 --task_set=colorization.batch_size=2 \
	  --task_set=exemplar.batch_size=8 --task_set=motion_segmentation.batch_size=2
	$(JAX)/bin/python -m tests.benchmarks.accelerator.timing $(ACCELERATOR_OUTPUT)

$(JAX)/.installed: $(INSTALLED)
	$(PYTHON) -m venv --clear $(JAX)
	$(JAX)/bin/python -m pip install --quiet --disable-pip-version-check jax numpy
	@touch $@

# Everything, on both sets of packages.
test-all: test test-slow
	$(MAKE) test test-slow STACK=current VENV=$(VENV)-current

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

lock:
	uv pip compile --universal --python-version 3.9 --no-emit-index-url \
	  --extra gpu --extra beam --extra demo --extra test --extra onnx setup.py \
	  --custom-compile-command "make lock" -o constraints.txt

clean:
	rm -rf $(VENV) $(VENV)-uv $(PEERS) $(JAX) $(DEMO_OUTPUT) $(EVALUATIONS_OUTPUT) \
	  $(ACCELERATOR_OUTPUT)

# setup.py takes TensorFlow 2.15 with Addons and I/O on Python 3.9 to 3.11, and a current
# TensorFlow on 3.12 and 3.13. In this order: a Python of the first kind, which uv fetches
# where there is uv; one of the second; uv, in an environment of its own, where no Python
# here fits. With STACK=current the first kind is left out.
# seqeval, which tf-models asks for, has no wheel and builds only in isolation
# (--use-pep517, pip's only way from 25.3 on).
define INSTALL
set -e

# find FIRST LAST NAME...: the first name that runs Python 3.FIRST to 3.LAST with venv.
find() {
  first=$$1; last=$$2; shift 2
  for name; do
    "$$name" -c "import sys; v = sys.version_info[:2]; \
      sys.exit(not (3, $$first) <= v <= (3, $$last))" 2>/dev/null || continue
    if "$$name" -c 'import venv, ensurepip' 2>/dev/null; then python=$$name; return; fi
    without_venv=$$name
  done
  return 1
}
pinned() { [ "$(STACK)" != current ]; }
uv_makes() {
  [ -n "$$uv" ] && "$$uv" venv --quiet --allow-existing --python "$$1" $(VENV) 2>/dev/null
}
either() { pinned && uv_makes '>=3.9,<3.12' || uv_makes '>=3.12,<3.14'; }
install_with_uv() {
  echo "installing into $(VENV) with uv and $$($(PYTHON) --version)"
  "$$uv" pip install --quiet --python $(PYTHON) -c constraints.txt -e '.[demo,test]'
}

uv=$$(command -v uv || true)
python=
without_venv=
if either; then
  install_with_uv
elif pinned && find 9 11 python3.11 python3.10 python3.9 python3 python ||
    find 12 13 python3.13 python3.12 python3 python; then
  echo "installing into $(VENV) with pip and $$("$$python" --version)"
  "$$python" -m venv $(VENV)
  $(PYTHON) -m pip install --quiet --disable-pip-version-check --use-pep517 \
    -c constraints.txt -e '.[demo,test]'
elif [ -n "$$without_venv" ]; then
  echo "$$("$$without_venv" --version) has no venv: install it (Debian, Ubuntu: apt" \
    "install python3-venv)." >&2
  exit 1
elif find 8 99 python3 python && "$$python" -m venv $(VENV)-uv &&
    $(VENV)-uv/bin/python -m pip install --quiet --disable-pip-version-check uv &&
    uv=$(VENV)-uv/bin/uv && either; then
  install_with_uv
else
  pinned && range="3.9 to 3.13" || range="3.12 to 3.13 (STACK=current)"
  echo "No Python from $$range was found, and no uv that could fetch one: install" \
    "Python 3 with venv (Debian, Ubuntu: apt install python3-venv) or uv" \
    "(https://docs.astral.sh/uv). TensorFlow has no builds for other Pythons." >&2
  exit 1
fi
endef
export INSTALL

$(INSTALLED): setup.py constraints.txt
	@sh -c "$$INSTALL"
	@touch $@
