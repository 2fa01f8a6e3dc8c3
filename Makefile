# The verbs: run, test, check, bench, docs, pictures. Each does its own set-up in .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test check bench docs pictures mutants clean

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

# the site, in build/site: a warning is an error; addresses of other sites are listed, not fetched
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.site build/site

# the pictures that documents show, made anew; those of long studies by the commands in docs/gallery.md
pictures: $(STAMP)
	$(BIN)/python -m netsim.calibration --figure docs/images/calibration.png
	$(BIN)/airtune map city --out docs/images/city.png
	$(BIN)/python -m tools.draw_wings docs/images/wings.png
	$(BIN)/airtune run quickstart --jobs 2 --overwrite
	cp out/quickstart/figures/accuracy_personal.png docs/images/quickstart.png
	for name in duration_cdf energy_breakdown gantt partition round_breakdown participation_accuracy; do \
	  cp out/quickstart/figures/$$name.png docs/images/report/$$name.png; done
	cp out/quickstart/figures/to_accuracy_0.65.png docs/images/report/to_accuracy.png
	cp out/quickstart/figures/pareto_accuracy.png docs/images/report/pareto.png
	cp out/quickstart/figures/fairness_accuracy.png docs/images/report/fairness.png

# do the tests notice a wrong line? a seeded sample of each area, by hand; hours on two cores
mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt cosmic-ray
	$(BIN)/python -m tools.mutants

clean:
	rm -rf $(VENV) build *.egg-info
