# Every target does its own set-up in the project's virtual environment; nothing else is touched.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# JupyterLab, nbgrader and papermill keep their settings inside the project while run from here.
export JUPYTER_CONFIG_DIR = $(CURDIR)/$(VENV)/jupyter
export JUPYTER_DATA_DIR = $(CURDIR)/$(VENV)/share/jupyter
export IPYTHONDIR = $(CURDIR)/$(VENV)/ipython

.PHONY: help setup demo test lab run prove calibrate build bench sandbox lint clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## make the virtual environment

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "CNN Clinic needs Python 3.11 or later; run make PYTHON=python3.11."; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python cannot make a virtual environment; run: apt install python3-venv."; exit 2; }
	@echo "Installing into $(VENV); the frameworks are large, expect a few minutes."
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: setup  ## one lab in both frameworks, executed and graded through nbgrader
	$(BIN)/grader data
	$(BIN)/grader run 1_data/01_input_scale
	$(BIN)/grader demo

test: setup  ## the whole test suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

lab: setup  ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab notebooks/pytorch-1-data/01_input_scale.ipynb

run: setup  ## execute all solution notebooks
	$(BIN)/grader run

prove: setup  ## grade every answer of every lab through the released notebook
	$(BIN)/grader prove

calibrate: setup  ## measure every answer over 20 seeds and store the distributions
	$(BIN)/grader calibrate

build: setup  ## write notebooks/ and solutions/ from labs/
	$(BIN)/grader build

bench: setup  ## speed of the parts on this machine
	$(BIN)/grader bench

sandbox:  ## install bubblewrap, in which submissions are graded
	@if command -v bwrap > /dev/null; then echo "bubblewrap is here: $$(bwrap --version)."; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  apt-get install --yes --quiet bubblewrap \
	    || { apt-get update --quiet && apt-get install --yes --quiet bubblewrap; }; \
	else echo "Install bubblewrap: sudo apt-get install bubblewrap (or dnf, pacman)."; exit 2; fi

lint: setup  ## format, and say what is left
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/grader lint

clean:  ## remove the virtual environment and everything generated outside git
	rm -rf $(VENV) build demo gradebook.db submitted autograded feedback
