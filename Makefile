# Two commands do everything, the environment included: `make export` and `make test`.
# On Linux, PyPI's torch brings gigabytes of CUDA; its CPU build is enough:
#     make export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

PYTHON ?= $(shell for p in python3.11 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
EXPORT_ARGS ?= --format tflite --quantize int8 --force
PYTEST_ARGS ?=
ARM_ARGS ?= --device qemu:cortex-a76

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

GATE := build/gate

.PHONY: export test arm arm-gate lint clean

export: $(STAMP)
	$(BIN)/atpn-export $(EXPORT_ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Instructions on an emulated ARM core, on any x86-64 machine with Debian's apt; needs no root.
arm: $(STAMP)
	$(BIN)/atpn-bench setup-arm
	test -d exported || $(MAKE) export
	$(BIN)/atpn-bench $(ARM_ARGS)

# Every file that is shipped for ARM against the instructions that were agreed to.
arm-gate: $(STAMP)
	$(BIN)/atpn-bench setup-arm
	for model in atpn-lite atpn; do for format in tflite onnx ncnn; do \
		$(BIN)/atpn-export --model $$model --format $$format --quantize all \
			--output $(GATE) --force || exit 1; \
	done; done
	$(BIN)/atpn-bench --device qemu:cortex-a76 --exported $(GATE) --fail-if-more-instructions 1%

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rebuilt from nothing when the requirements change: upgraded in place the toolchains do not fit.
$(STAMP): pyproject.toml constraints.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[export,track,test,dev]'
	touch $@

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
