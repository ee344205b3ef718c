# make paper: from nothing to results/paper/strata.pdf     make test: everything tested
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PYTHONHASHSEED ?= 0
export PATH := $(CURDIR)/$(RUN):$(PATH)
export PYTHONHASHSEED

.PHONY: paper test lint bench clean help

help:
	@echo "make paper | test | lint | bench | clean"

paper: $(VENV)/.ready tex
	snakemake --cores all --quiet progress rules
	@echo "The paper is $(CURDIR)/results/paper/strata.pdf"

test: $(VENV)/.ready tex lint
	pytest

lint: $(VENV)/.ready
	ruff check . && ruff format --check . && snakefmt --check Snakefile rules && snakemake --lint

bench: $(VENV)/.ready
	python benchmarks/dissect.py --five
	python benchmarks/activations.py
	python benchmarks/convexity.py
	python benchmarks/speech.py
	python benchmarks/precision.py
	python benchmarks/scale.py

.PHONY: tex
tex:
	@tools/install-tex

$(VENV)/.ready: requirements.txt pyproject.toml
	@tools/make-venv $(PYTHON) $(VENV)

clean:
	rm -rf results/* .snakemake && git checkout -- results 2>/dev/null || true
