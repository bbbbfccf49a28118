# The two commands:  make demo   make test      The documentation as a site in site/:  make docs
# Both set up everything they need in .venv; nothing outside this folder is changed.
# PYTHON chooses the interpreter, CXX the compiler that the emulator is built with.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
DOCS   := $(VENV)/.ready-docs
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# PyTorch by its exact version: an open range can bring CUDA packages of several GB. Where pip's own index has only CUDA
# builds (Linux on x86-64), TORCH_INDEX is the address of PyTorch's index of CPU builds, or of another CUDA version.
TORCH       ?= torch==2.13.0
TORCH_INDEX ?=

PYTEST_ARGS ?=
CPP    := '*.cpp' '*.h' '*.hpp'

export HF_HUB_OFFLINE := 1
# "default" is make's own guess; one that the caller chose goes on to the commands.
ifneq ($(origin CXX),default)
export CXX
endif

.PHONY: demo test docs lint format clean
.DEFAULT_GOAL := demo

demo: $(READY)
	@$(BIN)/aebert demo

test: $(READY)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Warnings are errors (mkdocs.yml; --quiet would hide them from the count), and the site needs no network.
docs: $(DOCS)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@$(BIN)/python .ci/check_site.py site

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >/dev/null || { $(BIN)/lint-imports --no-cache; exit 1; }
	@if command -v clang-format >/dev/null; then git ls-files -z -- $(CPP) | xargs -0 clang-format --dry-run --Werror; \
	  else echo "clang-format is not installed: the C++ was not looked at" >&2; fi

format: $(DEV)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@! command -v clang-format >/dev/null || git ls-files -z -- $(CPP) | xargs -0 clang-format -i

$(READY): pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || \
	  { echo "make: $(PYTHON) must be Python 3.10 to 3.12; choose one with PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@command -v $(or $(CXX),g++) >/dev/null || \
	  { echo "make: no C++ compiler $(or $(CXX),g++); on Debian: apt-get install g++, or choose one with CXX=..." >&2; exit 2; }
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing PyTorch ..."
	@index=$$($(BIN)/python .ci/torch_index.py '$(TORCH_INDEX)') && $(PIP) $$index '$(TORCH)'
	@echo "Installing aebert and what its demo and tests need ..."
	@$(PIP) --editable '.[test]'
	@touch $@

$(DEV): $(READY)
	@echo "Installing ruff, mypy and import-linter ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

$(DOCS): $(READY)
	@echo "Installing what builds the documentation ..."
	@$(PIP) --editable '.[docs]'
	@touch $@

clean:
	@rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
