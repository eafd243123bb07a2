# Two commands are enough: `make run` starts the app, `make test` tests it. Everything is installed into $(VENV).
# Written for GNU make 3.81, which macOS has, and newer.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8501
# The build of TensorFlow: cuda where an NVIDIA driver answers, else cpu.
BUILD := $(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
# Where Python is told to keep no bytecode, as in many containers, every process compiles TensorFlow anew: 5 seconds each.
unexport PYTHONDONTWRITEBYTECODE
# Empty files that say what has been installed, and by their age from which state of the requirements.
APP := $(VENV)/.installed-$(BUILD)
TESTS := $(VENV)/.installed-tests

.PHONY: help run setup test faults bench bench-class picture reproduce weights cluster-demo lint

help:  ## print these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: $(APP)  ## start the app on http://localhost:8501 (another port: make run PORT=8600)
	@echo "cnnviz starts on http://localhost:$(PORT) (stop it with Ctrl+C)"
	@$(BIN)/python -m streamlit run app.py --server.port $(PORT)

setup: $(APP)  ## install what the app needs into .venv (another Python: make setup PYTHON=python3.12)

test: $(TESTS)  ## run all tests, in a real browser too; installs what they need
	@$(BIN)/python tests/browser/find_browser.py --install
	@$(BIN)/python tests/browser/proxy.py
	@$(BIN)/python -m cnnviz datasets mnist
	@$(BIN)/python -m pytest -rs --timeout 300 -n 3 --dist worksteal --ignore tests/faults
	@$(BIN)/python -m pytest tests/faults -rs --timeout 300 -n 2 --dist worksteal

faults: $(TESTS)  ## try everything that can go wrong in a class; part of the tests (a full disk as root only)
	@$(BIN)/python tests/browser/find_browser.py --install
	@$(BIN)/python -m pytest tests/faults -rs --timeout 300 -n 2 --dist worksteal

bench: $(TESTS)  ## measure: prints JSON lines (classes of a minute each, stages of 20 s; longer: bench-class)
	@$(BIN)/python tests/browser/find_browser.py --install >&2
	@$(BIN)/python benchmarks/run.py
	@$(BIN)/python benchmarks/training.py
	@$(BIN)/python benchmarks/classroom.py --seconds 60
	@$(BIN)/python benchmarks/classroom.py --seconds 60 --training
	@$(BIN)/python benchmarks/classroom.py --watch --seconds 20
	@$(BIN)/python benchmarks/classroom.py --knee --sessions 40 --seconds 20
	@$(BIN)/python benchmarks/classroom.py --knee --sessions 40 --seconds 20 --servers 2

bench-class: $(TESTS)  ## measure a class for five minutes, beside a training too, and a soak of half an hour
	@$(BIN)/python benchmarks/classroom.py
	@$(BIN)/python benchmarks/classroom.py --training
	@$(BIN)/python benchmarks/classroom.py --soak

picture: $(TESTS)  ## take the README's pictures of the app again
	@$(BIN)/python tests/browser/find_browser.py --install >&2
	@$(BIN)/python tests/browser/picture.py

reproduce: $(APP)  ## train the zoo as published; prints published and our accuracy (all of it: make reproduce SLOW=1)
	@$(BIN)/python -m cnnviz reproduce $(if $(SLOW),--slow)

weights: $(APP)  ## train the weights in assets/weights again
	@$(BIN)/python -m cnnviz reproduce --slow --ship

cluster-demo: $(TESTS)  ## train four runs at once on a cluster of real processes, and kill a worker in the middle
	@$(BIN)/python tests/pages/cluster_demo.py

lint: $(TESTS)  ## check the code's style
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

# What is left of a virtual environment that does not run is made anew; a folder that is none is left alone.
$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "cnnviz needs Python 3.10 to 3.13, and there is no $(PYTHON) here. Install it from https://www.python.org, or name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "cnnviz needs Python 3.10 to 3.13, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@if [ -e "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	@"$(PYTHON)" -m venv "$(VENV)" || { rm -f "$(BIN)/python"; exit 1; }

# The two builds of TensorFlow write into the same folder, so that only one may ever be installed.
$(VENV)/.installed-cpu: requirements.txt $(BIN)/python
	@echo "Installing what the app needs (once, some minutes)"
	@if [ -e $(VENV)/.installed-cuda ]; then $(PIP) uninstall -q -y tensorflow; rm $(VENV)/.installed-cuda; fi
	@$(PIP) install -q --no-compile -r requirements.txt
	@touch $@

$(VENV)/.installed-cuda: requirements.txt requirements-gpu.txt $(BIN)/python
	@echo "Installing what the app needs, with CUDA for the NVIDIA GPU (once, some minutes, 3 GB)"
	@if $(PIP) show -q tensorflow-cpu 2>/dev/null; then $(PIP) uninstall -q -y tensorflow-cpu tensorflow; fi
	@rm -f $(VENV)/.installed-cpu
	@grep -v '^tensorflow' requirements.txt > $(VENV)/requirements.txt
	@$(PIP) install -q --no-compile -r $(VENV)/requirements.txt -r requirements-gpu.txt
	@touch $@

$(TESTS): requirements-test.txt requirements-signin.txt requirements-cluster.txt $(APP)
	@echo "Installing what the tests need"
	@$(PIP) install -q --no-compile -r requirements-test.txt -r requirements-cluster.txt -c requirements.txt
	@touch $@
