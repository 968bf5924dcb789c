# Everything a visitor or developer runs. Needs make and Python 3.11 to 3.13; the rest goes into .venv, made on demand.
# pip decides by its own configuration where packages come from.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# The first interpreter that Airflow supports and that can make virtual environments. Or say: make PYTHON=/path/to/python
USABLE := import sys, venv, ensurepip; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(USABLE)' >/dev/null 2>&1 && { command -v $$p; break; }; done)
# What `make constraints` resolves for.
PYTHONS ?= python3.11 python3.12 python3.13

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --quiet --quiet -c constraints.txt
CODE := airflow_provider_bland scripts tests benchmarks example_dags
# Those without processes of Airflow wait for sockets more than they compute: they run side by side.
LIGHT := $(wildcard tests/unit tests/sandbox tests/hostile tests/fuzz)
# Those that play on other versions of Airflow are left out: they have an environment each.
HEAVY := $(filter-out $(LIGHT) tests/__pycache__ tests/versions,$(patsubst %/,%,$(wildcard tests/*/)))
SIDE_BY_SIDE := -n 4 --dist loadfile

.PHONY: help demo demo-campaign up test lint unit fuzz matrix chaos standalone distributed distributed-bench rules export-bench campaign-bench bench constraints areas clean

help: ## Show this list
	@echo "Usage: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '  %-17s %s\n' "$$target" "$$text"; done

demo: $(VENV)/.demo ## Watch one DAG phone a virtual customer and act on what was said (nobody is dialled)
	@$(PY) scripts/demo.py

demo-campaign: $(VENV)/.demo ## Watch one task ring two hundred virtual customers, once you would have approved it (nobody is dialled)
	@$(PY) scripts/demo_campaign.py

up: $(VENV)/.demo ## Airflow with its UI, the example DAGs and the sandbox, until Ctrl-C
	@$(PY) scripts/up.py

test: lint $(VENV)/.dev ## All checks: style, types, tests, a real Airflow of this and of older versions (half an hour)
	@$(PY) -m pytest $(SIDE_BY_SIDE) $(LIGHT)
	@$(PY) -m pytest -m 'not chaos and not distributed and not standalone' $(HEAVY)
	@$(PY) scripts/matrix.py --bounded --allow-missing
	@echo "make test: all checks passed."

lint: $(VENV)/.dev ## Style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@MYPYPATH=scripts $(PY) -m mypy airflow_provider_bland scripts

unit: $(VENV)/.dev ## The tests that need no Airflow processes (seconds)
	@$(PY) -m pytest $(SIDE_BY_SIDE) -m 'not airflow' $(LIGHT)

# They have a target each.
LONG_BENCHMARKS := $(addprefix benchmarks/,triggerers.py export.py dispatched.py)

# How many inputs each property gets, and which.
MANY ?= 2000
SEED ?= 0

fuzz: $(VENV)/.dev ## Hostile arguments, connections, numbers, records and replies (minutes; MANY=2000 inputs a property, SEED=0)
	@BLAND_FUZZ=$(MANY) $(PY) -m pytest tests/fuzz --hypothesis-seed=$(SEED)

chaos: $(VENV)/.dev ## Kill, freeze and restart Airflow while calls are under way (minutes)
	@$(PY) -m pytest tests/chaos

standalone: $(VENV)/.dev ## `airflow standalone` with the wheel and all examples, not paused: nobody is dialled (minutes)
	@$(PY) -m pytest -m standalone tests/packaging

distributed: $(VENV)/.distributed ## The same on Celery, Redis and PostgreSQL, two of everything (half an hour; needs postgresql and redis-server)
	@$(PY) -m pytest tests/distributed

distributed-bench: $(VENV)/.distributed ## What ten thousand waiting calls cost two triggerers (needs postgresql and redis-server)
	@$(PY) benchmarks/triggerers.py

# ONLY=2.11.2,3.0.6 plays some versions, PARTS=light,real,form some parts of it; BOUNDED=1 only a real Airflow of three of them; ALLOW_MISSING=1 forgives a
# missing interpreter.
matrix: $(VENV)/.made ## Unit and sandbox tests on each Airflow and Python, a real Airflow of each version (an hour; ONLY=2.11.2 for one)
	@$(PY) scripts/matrix.py $(if $(BOUNDED),--bounded) $(if $(ONLY),--only $(ONLY)) $(if $(PARTS),--parts $(PARTS)) $(if $(ALLOW_MISSING),--allow-missing)

rules: $(VENV)/.dev ## Play a million random campaigns and judge each by brute force (half an hour; N=... for another number)
	@$(PY) scripts/check_campaign_rules.py --campaigns $(or $(N),1000000)

export-bench: $(VENV)/.bench ## A hundred thousand calls to files, beside requests with pandas and dlt (half an hour)
	@$(PY) benchmarks/export.py

campaign-bench: $(VENV)/.dev ## Ten thousand people rung in a real Airflow: a campaign, mapped tasks, a loop (half an hour)
	@$(PY) benchmarks/dispatched.py

bench: $(VENV)/.dev ## Measure what waiting and importing cost, side by side with others
	@for script in $(filter-out $(LONG_BENCHMARKS),$(wildcard benchmarks/*.py)); do echo "== $$script"; $(PY) "$$script" || exit 1; done

constraints: ## Write constraints.txt anew, from what pip picks today (PYTHONS=... names the interpreters)
	@$(or $(PYTHON),python3) scripts/make_constraints.py $(PYTHONS)

areas: $(VENV)/.dev ## Write the table of North American area codes anew, from the data of the installed phonenumbers
	@$(PY) scripts/make_area_codes.py

clean: ## Remove the virtual environment, the Airflow of `make up` and all caches
	rm -rf $(VENV) .airflow build dist *.egg-info .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# A changed dependency list means a new environment: what was left out must not linger.
$(VENV)/.made: pyproject.toml constraints.txt
	@$(if $(PYTHON),,echo "No Python 3.11 to 3.13 with the venv module found. Install one (Debian: apt install" \
		"python3 python3-venv) or name it: make PYTHON=/path/to/python"; exit 1)
	@$(PYTHON) -c '$(USABLE)' || { echo "$(PYTHON) is not a Python 3.11 to 3.13 with the venv module."; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made
	@test -e $(VENV)/.dev || { \
		echo "Installing Airflow and the provider into $(VENV), once. This takes a minute or two."; \
		$(PIP) --editable '.[sandbox]'; }
	@touch $@

$(VENV)/.dev: $(VENV)/.made
	@echo "Installing Airflow, the provider and the test tools into $(VENV), once. This takes a minute or two."
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/.distributed: $(VENV)/.dev
	@$(PIP) --editable '.[dev,distributed]'
	@touch $@
