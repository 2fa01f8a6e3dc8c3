# The verbs: run, test, check, bench, docs. Each does its own set-up in .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test check bench docs mutants clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,minilm,dev]'
	touch $@

run: $(STAMP)
	$(BIN)/airtune run quickstart --jobs 2 --overwrite

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy airtune netsim fl scenarios analysis benchmarks tools

bench: $(STAMP)
	$(BIN)/python -m benchmarks.spine
	$(BIN)/python -m benchmarks.federation
	$(BIN)/python -m benchmarks.radio

# the pictures that documents show, made anew
docs: $(STAMP)
	$(BIN)/python -m netsim.calibration --figure docs/images/calibration.png
	$(BIN)/airtune map city --out docs/images/city.png
	$(BIN)/python -m tools.draw_wings docs/images/wings.png

# do the tests notice a wrong line? a seeded sample of each area, by hand; hours on two cores
mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt cosmic-ray
	$(BIN)/python -m tools.mutants

clean:
	rm -rf $(VENV) build *.egg-info
