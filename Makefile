# Everything from a bare checkout: `make demo` and `make test` install what they need into .venv first, once.
#
#   PYTHON=python3.12            another interpreter, 3.11 or newer
#   TORCH_INDEX=<index address>  where pip takes torch from, for a CPU-only build or one for another CUDA;
#                                `make clean` first if another build is installed already

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
TORCH := $(shell grep '^torch==' requirements.lock)
TORCHVISION := torchvision==0.28.0
NUM2WORDS := num2words==0.5.14
LMMS := lmms-eval==0.7.3 loguru==0.7.3 sacrebleu==2.6.0 portalocker==4.4.2 tabulate==0.10.0 colorama==0.4.6 \
  lxml==6.1.3 evaluate==0.4.6 tenacity==9.2.1
AXE := axe-core@4.14.1
OLD := sena needs Python 3.11 or newer; name one that you have: make PYTHON=python3.12

.PHONY: install demo test test-slow test-all browser lint docs reference bases evidence clean
.DELETE_ON_ERROR:

install: .venv/.installed .venv/torchvision/.installed

# torch comes first and by itself, so that nothing else decides which build of it is taken. pip says what fails, no more.
.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(OLD)")'
	@echo "Installing into .venv, once: torch (up to some GB, unless TORCH_INDEX names a small build) ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install $(TORCH) $(if $(strip $(TORCH_INDEX)),--index-url $(TORCH_INDEX))
	@echo "... $$(grep -c == requirements.lock) packages of requirements.lock, some minutes ..."
	@$(PIP) install -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Processors of some families need them. They lie apart, since sena itself has to do, and be tested, without it.
.venv/torchvision/.installed: .venv/.installed
	@echo "... torchvision, which the tests of some families use ..."
	@$(PIP) install --no-deps --upgrade --target $(@D) $(TORCHVISION) $(NUM2WORDS)
	@mkdir -p $(@D) && touch $@
	@echo "Done: sena is at $(BIN)/sena"

# The plug-in for lmms-eval is tested beside it. It wants seventy packages, of which its evaluator loads these.
.venv/lmms-eval/.installed: .venv/.installed
	$(PIP) install --no-deps --upgrade --target $(@D) $(LMMS)
	mkdir -p $(@D) && touch $@

demo: install
	$(BIN)/sena evolve demo --out runs/demo

test: install
	$(PYTEST) -m "not slow"
	$(PYTEST) tests/families -m "not slow"

test-slow: install browser .venv/axe/axe.min.js .venv/lmms-eval/.installed
	$(PYTEST) -m slow
	$(PYTEST) tests/families -m slow

# The web page is tested in a real browser.
browser:
	@command -v chromium chromedriver >/dev/null || test $$(id -u) -ne 0 || \
	  { apt-get update -q && apt-get install -q -y --no-install-recommends chromium chromium-driver; }
	@command -v chromium chromedriver >/dev/null || echo "The page's tests need chromium and chromedriver: install them"

# What judges whether everybody can use the pages. It comes from npm, and is no part of sena.
.venv/axe/axe.min.js: .venv/.installed
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent $(AXE) && tar -xzf axe-core-*.tgz --strip-components=1 package/axe.min.js
	touch $@

test-all: test test-slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# A site in build/site that needs no network; a warning is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What the docs say of recipe keys, flags and rooms, from the code.
reference: install
	$(BIN)/python scripts/make_reference.py

# Two more miniature base models, from other seeds than the shipped one. Each takes an hour or two.
bases: bases/2 bases/3

bases/%: | install
	$(BIN)/python -m sena.mini.pretrain --seed $* --out $@

# Every recipe on every base, the alarms, the tables and the picture of docs/evidence.md. Many hours; it can be stopped.
evidence: bases
	$(BIN)/python scripts/evidence.py

clean:
	rm -rf .venv
