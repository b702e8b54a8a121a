# Every target does its own set-up on a fresh clone. PYTHON chooses the interpreter (3.11 or 3.12).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN ?= runs/demo
CONFIG ?= configs/quickstart.py
SAMPLE := runs/sample
# Of the sample and of the run: one of those in docs/results.md.
SEED := 11
# Large temporaries are kept by the allocator instead of being faulted in again at every step.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 40000000000

.PHONY: venv demo test soak lint clean gpu-compiler

venv: $(VENV)/.installed

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[serve]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(INSTALL) --requirement requirements-dev.txt
	touch $@

# The compiler for GPUs, for the tests of `train.py --aot`. In an environment of its own, which finds the rest in the
# suite's: with it, each start of JAX without a GPU prints a traceback.
gpu-compiler: $(VENV)-gpu/.installed

$(VENV)-gpu/.installed: $(VENV)/.installed-dev
	$(BIN)/python -m venv $(VENV)-gpu
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$($(VENV)-gpu/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/suite.pth"
	$(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
		print(*extras["gpu-aot"])' | xargs $(VENV)-gpu/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
	touch $@

# Each made once: no command overwrites what exists, so remove the folder to have the sample made anew.
$(SAMPLE)/sample.dat.gz: | venv
	$(BIN)/python -m data_pipelines.sample --seed $(SEED) --output $(SAMPLE)

$(SAMPLE)/protanno/statistics.json: | $(SAMPLE)/sample.dat.gz
	$(BIN)/python -m data_pipelines.build --input $(SAMPLE)/sample.dat.gz --clusters $(SAMPLE)/clusters.tsv --questions $(SAMPLE)/questions.tsv \
		--random_test_fraction 0 --output $(SAMPLE)/protanno

$(SAMPLE)/vocab.txt: | $(SAMPLE)/protanno/statistics.json
	$(BIN)/python -m data_pipelines.vocabulary --data_dir $(SAMPLE)/protanno --output $@

# Repeated, it goes on with the run and makes the same report anew. An index that is there stays, and so do pictures of
# the page, which need Chromium.
demo: $(SAMPLE)/vocab.txt
	$(BIN)/python train.py --config $(CONFIG) --workdir $(RUN) \
		--config.seed=$(SEED) --config.data.dir=$(SAMPLE)/protanno --config.tokenizer.text=$(SAMPLE)/vocab.txt
	$(BIN)/python -m eval --checkpoint $(RUN) --benchmarks all --output $(RUN)
	test -e $(RUN)/calibration.json || $(BIN)/python -m eval --checkpoint $(RUN) --calibrate
	test -e $(RUN)/index/manifest.json || \
		$(BIN)/python -m protclip_jax.index --checkpoint $(RUN) --input $(SAMPLE)/protanno --output $(RUN)/index
	test -e $(RUN)/search_text.png || \
		$(BIN)/python -m protclip_jax.serve.pictures --checkpoint $(RUN) --index $(RUN)/index --output $(RUN) \
			--text "FUNCTION: Adds water to double bonds."
	@echo
	@echo "Ask it in a browser, at http://127.0.0.1:8000/:"
	@echo "  $(BIN)/python -m protclip_jax.serve --checkpoint $(RUN) --index $(RUN)/index --links none"

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m soak

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The environments alone: what lies in runs/ took hours, and may be yours.
clean:
	rm -rf $(VENV) $(VENV)-gpu
