# `make help` says what there is. Everything is installed into .venv; nothing else on the machine is touched.
PYTHON  ?= python3
CATALOG ?= tests/data/sample/catalog.csv
OUT     ?= out
IMAGE   ?= tests/data/sample/images/room-02.jpg
BOX     ?=
ARGS    ?=
DIST    ?= dist
# What executors need; prodseek itself is among it, but a wheel given to --py-files goes before it.
PACKAGES ?= '.[$(FAISS)]'

VENV    := .venv
BIN     := $(VENV)/bin
FAISS   := $(shell command -v nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
# What would have to be compiled is refused at once. Spark alone may come as source, which is plain Python and jars.
WHEELS  := --only-binary $(shell sed -n '/^pyspark==/d; s/==.*//p' conf/constraints.txt | paste -sd , -)
PIP     := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar on -c conf/constraints.txt $(WHEELS)
SETUP   := setup.py conf/constraints.txt
# Two processes, which take tests in the order of tests/helpers/order.py.
PYTEST  := $(BIN)/python -m pytest -n 2 --no-loadscope-reorder

.PHONY: help cluster search config test test-fast lint bench wheel env-archive clean
.DEFAULT_GOAL := help

help:  ## this text
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
	@echo "  CATALOG=folder-or-manifest and OUT=store choose what 'make cluster' reads and where it writes;"
	@echo "  ARGS='--set catalog.uri_column=image' passes settings on, see 'prodseek config --show'"

cluster: $(VENV)/weights  ## run the whole job on CATALOG (the sample catalogue) and write the store to OUT
	@$(BIN)/prodseek run nightly --catalog '$(CATALOG)' --root '$(OUT)' $(ARGS)

search: $(VENV)/weights  ## products like what is in BOX=x1,y1,x2,y2 of IMAGE; without BOX the objects in it
	@case '$(OUT)' in \
	  out) [ -e out/LATEST ] || $(MAKE) --no-print-directory cluster ;; \
	  *://*) ;; \
	  *) [ -e '$(OUT)/LATEST' ] || { \
	       echo "there is no run in '$(OUT)': name the folder of one, or make one first: make cluster CATALOG=... OUT='$(OUT)'"; \
	       exit 2; } ;; \
	esac
	@$(BIN)/prodseek search --root '$(OUT)' --image '$(IMAGE)' $(if $(BOX),--box '$(BOX)') $(ARGS)

config: $(VENV)/runtime  ## show the configuration
	@$(BIN)/prodseek config --show $(ARGS)

test: $(VENV)/weights $(VENV)/test  ## run the tests; PRODSEEK_SLOW_TESTS=1 also the slow ones
	$(PYTEST) $(ARGS)

test-fast: $(VENV)/weights $(VENV)/test  ## the tests that need no Spark and no night, under two minutes
	$(PYTEST) tests/unit $(ARGS)

lint: $(VENV)/test $(VENV)/dev  ## ruff, and mypy --strict on the library and the jobs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/weights $(VENV)/test  ## measure speed against a baseline, one table each
	@for benchmark in tests/bench/bench_*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

wheel: $(VENV)/dev  ## build dist/prodseek-*.whl for spark-submit --py-files
	$(BIN)/python -m build --wheel --outdir '$(DIST)' .

# An executor starts bin/python of this alone, which finds its libraries by where it lies: packing is all there is to do.
# It is a link to the Python that made it, and Spark brings its own jars.
env-archive:  ## pack the Python environment of executors for spark-submit --archives
	@rm -rf '$(DIST)/environment' && $(PYTHON) -m venv '$(DIST)/environment'
	@'$(DIST)/environment/bin/python' -m pip --disable-pip-version-check install --quiet -c conf/constraints.txt $(WHEELS) $(PACKAGES)
	@tar -C '$(DIST)/environment' --exclude=pyspark/jars -I 'gzip -1' -cf '$(DIST)/environment.tar.gz.partial' .
	@rm -rf '$(DIST)/environment' && mv '$(DIST)/environment.tar.gz.partial' '$(DIST)/environment.tar.gz'
	@ls -lh '$(DIST)/environment.tar.gz'

clean:  ## remove the environment and everything built; OUT stays
	rm -rf $(VENV) build dist lib/prodseek.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "prodseek needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

# Compiled on all cores, which pip does not do, for each process would compile what it imports where PYTHONDONTWRITEBYTECODE
# is set. Templates among the 17,000 modules are no valid Python.
$(VENV)/runtime: $(SETUP) | $(VENV)/bin/python
	@echo "installing into $(VENV): about 6 GB, a few minutes, once"
	@$(PIP) --no-compile --use-pep517 -e '.[$(FAISS)]'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@

$(VENV)/weights: $(VENV)/runtime conf/base.yaml
	@echo "fetching the network's weights, 35 MB, once"
	@$(BIN)/prodseek weights
	@touch $@

$(VENV)/test: $(VENV)/runtime
	@$(PIP) --use-pep517 -e '.[$(FAISS),test]'
	@touch $@

$(VENV)/dev: $(VENV)/runtime
	@$(PIP) --use-pep517 -e '.[$(FAISS),dev]'
	@touch $@
