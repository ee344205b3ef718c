# make paper: from nothing to results/paper/strata.pdf     make test: everything tested
PYTHON ?= python3
READY := $(shell tools/make-venv --where)
VENV := $(patsubst %/,%,$(dir $(READY)))
PYTHONHASHSEED ?= 0
export PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin:$(PATH)
export PYTHONHASHSEED

.PHONY: paper figures notebooks report real venv test test-unit coverage mutants torture lint bench unlock verify clean help
.NOTPARALLEL:

help:
	@echo "make paper    everything: PDF, figures, report; STUDY=studies/photos.yaml for another study"
	@echo "make figures  without LaTeX"
	@echo "make notebooks  a question to each study's tables, as pages (docs/notebooks.md)"
	@echo "make real     DINOv2-small and Whisper tiny.en on photographs and recordings"
	@echo "make mutants  small faults in the science, one at a time: do the unit tests notice?"
	@echo "make torture  killed 50 times, a full disk, other cores: the same bytes (hours)"
	@echo "make coverage  lines and branches of the library that the unit tests reach"
	@echo "make test | test-unit | lint | bench | venv | unlock | verify | clean"

paper figures notebooks: welcome $(READY)
	@python tools/terminal/run_study.py $@ $(if $(STUDY),--configfile $(STUDY))

report: paper

# Real networks on photographs, judgements and recordings (docs/real-networks.md).
real:
	@$(MAKE) --no-print-directory paper STUDY=studies/real.yaml

venv: $(READY)

test: $(READY) tex chromium lint
	OMP_NUM_THREADS=1 pytest --numprocesses auto tests/unit
	pytest --numprocesses 2 --dist loadfile tests/workflow

test-unit: $(READY) lint
	OMP_NUM_THREADS=1 pytest --numprocesses auto tests/unit

coverage: $(READY)
	OMP_NUM_THREADS=1 pytest --numprocesses auto --cov --cov-fail-under=95 tests/unit

# An hour or more; goes on where it ended. Part of it: python tests/mutants.py --only convexity/
mutants: $(READY)
	OMP_NUM_THREADS=1 python tests/mutants.py --write

# STUDY=tests/workflow/tiny.yaml for less. As root also with a disk that fills up.
torture: $(READY) tex
	python tests/torture.py --study $(or $(STUDY),config.yaml) --kills 50 --cores \
		$(if $(filter 0,$(shell id -u)),--disk-full)

lint: $(READY)
	ruff check . && ruff format --check . && snakefmt --check Snakefile rules && snakemake --lint

bench: $(READY)
	python benchmarks/dissect.py --five
	python benchmarks/activations.py
	python benchmarks/convexity.py
	python benchmarks/coverage.py
	python benchmarks/annotations.py
	python benchmarks/speech.py
	python benchmarks/precision.py
	python benchmarks/atlas.py
	python benchmarks/scale.py

.PHONY: tex chromium welcome
tex:
	@tools/install-tex

chromium:
	@tools/install-chromium || true

welcome:
	@[ -e $(READY) ] || \
		$(PYTHON) tools/terminal/estimate.py "$(MAKECMDGOALS)" "$(STUDY)" 2>/dev/null || true

$(READY): requirements.txt pyproject.toml
	@tools/make-venv $(PYTHON)

# After a run that was killed (a power cut): the next one may start in this folder.
unlock: $(READY)
	@python -m snakemake --unlock >/dev/null 2>&1 && echo "Unlocked."

# Whether results are still what was made; AGAINST=another/results/provenance.json compares runs.
verify: $(READY)
	@python tools/terminal/provenance.py verify $(AGAINST)

clean:
	rm -rf results/* .snakemake && git checkout -- results 2>/dev/null || true
