# The whole of Plumbline from a machine with Python 3.11 and make. `make demo` runs it, `make test` tests it.
# Paths are relative and tools are called as `python -m`, so that a folder with a space in its name works too.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PY := .venv/bin/python
TRAIN := .venv-train/bin/python
TORCH ?= torch==2.13.0
UV ?= .venv-lock/bin/python -m uv
ARGS ?=

# Run with `make PYTHON=/path/to/python3.12 …` to choose another one. A shim that leads to no Python is passed over.
find_python = \
	for python in "$(PYTHON)" python3.11 python3.12 python3.13 python3 /usr/bin/python3; do \
	  if [ -n "$$python" ] && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Plumbline needs Python 3.11 or later. On Debian: apt install python3.11 python3.11-venv" \
	    "(or make PYTHON=/path/to/python3.11)" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "$$python cannot make environments. On Debian: apt install python$$version-venv" >&2; exit 1; \
	fi

.PHONY: help demo test trainers test-train bench lint format lock accept-skeleton accept-sft accept-workplace accept-agreement accept-vetting accept-templates accept-exports pictures messages environment clean
help:
	@echo "make demo             run Plumbline here: PostgreSQL, Valkey, web, worker and beat (PORT=8000)"
	@echo "make test             all tests but the trainers' (ARGS='-k ranking' for some of them)"
	@echo "make trainers         install the trainers, with torch, into .venv-train"
	@echo "make test-train       the trainers' tests"
	@echo "make bench            drills with many rows"
	@echo "make lint             ruff, djlint, mypy; make format mends what can be mended"
	@echo "make accept-skeleton  the acceptance checks, each with its figure and its bound; also accept-sft, accept-workplace, accept-agreement, accept-vetting, accept-templates, accept-exports"
	@echo "make pictures         take the screenshots of docs/screenshots again"
	@echo "make messages         collect the texts to translate, and compile the translations"
	@echo "make lock             pin the requirements of pyproject.toml again"
	@echo "make clean            remove the environments and caches; the data in var/ stay"

demo: .venv/.ready
	@exec $(PY) -m config.demo

# A PostgreSQL and a Valkey of its own (config/embedded.py), whatever DATABASE_URL says.
test: .venv/.ready
	@$(PY) -m tests.chromium
	$(PY) -m config.embedded test $(PY) -m pytest -n logical --maxprocesses 8 $(ARGS)

trainers: .venv-train/.ready

test-train: .venv-train/.ready
	$(TRAIN) -m pytest tests/trainers -c tests/trainers/pytest.ini $(ARGS)

bench: .venv/.ready
	$(PY) -m config.embedded bench $(PY) -m pytest benchmarks -o "python_files=bench_*.py" -s $(ARGS)

lint: .venv/.ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m djlint --lint templates
	DEBUG=1 $(PY) -m mypy

format: .venv/.ready
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

accept-skeleton: .venv/.ready .venv-train/.ready
	@exec $(PY) -m tests.accept.skeleton $(ARGS)

accept-sft: .venv/.ready .venv-train/.ready
	@exec $(PY) -m tests.accept.sft $(ARGS)

accept-workplace: .venv/.ready
	@$(PY) -m tests.chromium
	@exec $(PY) -m tests.accept.workplace $(ARGS)

accept-agreement: .venv/.ready
	@$(PY) -m tests.chromium
	@exec $(PY) -m tests.accept.agreement $(ARGS)

accept-vetting: .venv/.ready
	@$(PY) -m tests.chromium
	@exec $(PY) -m tests.accept.vetting $(ARGS)

accept-templates: .venv/.ready
	@$(PY) -m tests.chromium
	@exec $(PY) -m tests.accept.templates $(ARGS)

accept-exports: .venv/.ready .venv-train/.ready
	@$(PY) -m tests.chromium
	@exec $(PY) -m tests.accept.exports $(ARGS)

pictures: .venv/.ready
	@exec $(PY) -m tests.accept.pictures

# The .mo stands beside the .po, so that a machine without gettext runs in Chinese too. No server is needed for this.
CATALOGUE := locale/zh_Hans/LC_MESSAGES/django
messages: .venv/.ready
	@command -v xgettext >/dev/null || { echo "make messages needs gettext. On Debian: apt install gettext" >&2; exit 1; }
	DJANGO_SETTINGS_MODULE=config.settings SECRET_KEY=messages $(PY) -m django makemessages --locale zh_Hans \
	  --no-location --no-wrap --no-obsolete --ignore ".venv*" --ignore var --ignore tests --ignore benchmarks \
	  --ignore trainers
	$(PY) -c 'import polib, sys; polib.pofile(sys.argv[1] + ".po").save_as_mofile(sys.argv[1] + ".mo")' $(CATALOGUE)
	@$(PY) -c 'import polib, sys; po = polib.pofile(sys.argv[1]); \
	  left = po.untranslated_entries() + po.fuzzy_entries(); \
	  print(f"{len(po)} texts, {len(left)} to translate", *(entry.msgid for entry in left), sep="\n  ")' $(CATALOGUE).po

# --- The environments -------------------------------------------------------------------------------------------------

environment: .venv/.ready

.venv/.ready: requirements.txt requirements-embedded.txt requirements-dev.txt
	@$(find_python); echo "Installing the packages of Plumbline into .venv (once, a minute or two)"; \
	$(PY) -c '' 2>/dev/null || "$$python" -m venv --clear .venv
	@$(PY) -m pip install -qq --no-input $(^:%=-r %)
	@touch $@

.venv-train/.ready: requirements-train.txt
	@$(find_python); echo "Installing the packages of the trainers into .venv-train (once, several minutes)"; \
	$(TRAIN) -c '' 2>/dev/null || "$$python" -m venv --clear .venv-train
	@$(TRAIN) -m pip install -qq --no-input $(TORCH)
	@$(TRAIN) -m pip install -qq --no-input -r requirements-train.txt
	@touch $@

# requirements.txt is the whole of what runs in production; the other two hold only what they add to it.
extra = $(PY) -c 'import sys, tomllib; \
	print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]]))'
# For 3.11.0, so that what only the earliest 3.11 need (Debian 12 has 3.11.2) is pinned too.
compile = $(UV) pip compile --quiet --no-header --python-version 3.11
but = $$(sed -En 's/^([A-Za-z0-9._-]+)==.*/--no-emit-package \1/p' $(1))
lock: .venv/.ready
	@[ "$(UV)" != ".venv-lock/bin/python -m uv" ] || $(UV) --version 2>/dev/null || \
	{ $(PY) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv; }
	$(compile) pyproject.toml -o requirements.txt
	$(extra) embedded | $(compile) - -c requirements.txt $(call but,requirements.txt) -o requirements-embedded.txt
	$(extra) dev | $(compile) - -c requirements.txt -c requirements-embedded.txt \
	  $(call but,requirements.txt requirements-embedded.txt) -o requirements-dev.txt

clean:
	rm -rf .venv .venv-train .venv-lock .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
