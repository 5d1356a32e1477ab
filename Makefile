# make run                          the CIFAR-10 experiment
# make run PIPELINE=mnist_robust    the MNIST experiment
# make run ENV=quick                the same DAG in minutes
# make test                         lint, types, tests
# make repro ARGS=mnist_report      the same by DVC: only what changed runs again
# make lock                         new pins for what pyproject.toml asks for (takes uv)
# make ui                           the nets side by side, on http://127.0.0.1:5000

# not those of the shell, where ENV has a meaning of its own
PIPELINE = cifar_robust
ENV = local
ARGS =
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
EXPERIMENT = $(PIPELINE:_robust=)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test repro ui setup lock

help:
	@sed -n 's/^# make/make/p' Makefile

run: .venv/ready
	$(BIN)/kedro run --pipeline=$(PIPELINE) --env=$(ENV) $(ARGS)
ifeq ($(ENV)$(ARGS),local)
	@$(BIN)/python -m robustify.registration $(EXPERIMENT)
endif

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

repro: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro $(ARGS)

ui: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" kedro mlflow ui

setup: .venv/ready

lock:
	uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-header --no-annotate pyproject.toml -o requirements.lock

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
		{ echo "Python 3.11 is needed, and $(PYTHON) isn't it; name yours: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
