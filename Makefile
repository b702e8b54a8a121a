# Every target does its own set-up on a fresh clone. PYTHON chooses the interpreter (3.11 or 3.12).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
# Large temporaries are kept by the allocator instead of being faulted in again at every step.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 40000000000

.PHONY: venv demo test soak lint clean

venv: $(VENV)/.installed

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

demo: venv
	$(BIN)/python -m data_pipelines.sample --output runs/sample
	$(BIN)/python -m data_pipelines.build --input runs/sample/sample.dat.gz --clusters runs/sample/clusters.tsv \
		--output runs/sample/protanno
	$(BIN)/python -m data_pipelines.vocabulary --data_dir runs/sample/protanno --output runs/sample/vocab.txt
	$(BIN)/python train.py --config configs/quickstart.py --workdir $(RUN) \
		--config.data.dir=runs/sample/protanno --config.tokenizer.text=runs/sample/vocab.txt
	$(BIN)/python -m eval --checkpoint $(RUN) --benchmarks all --output $(RUN)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m soak

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) runs
