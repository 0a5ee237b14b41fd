# `make demo` and `make test` work as the first command in a fresh checkout; `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(PATH):/usr/sbin:/sbin

BIN := .venv/bin
READY := .venv/.installed
# Network namespaces and mounts of a command's own, so that the machine stays as it was.
ENCLOSE := $(BIN)/python -m deploy.lab.enclose
PYTEST := $(BIN)/python -m pytest -q
FAST := not netns and not interop and not slow

.PHONY: help demo check format test slow interop bench lab clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do \
		printf '  make %-9s %s\n' "$$name" "$$what"; done

demo: $(READY) lab ## two LANs, a client and a concentrator in namespaces: a tunnel from SCCRQ to ping, explained
	@$(ENCLOSE) $(BIN)/python -m deploy.lab.demo

check: $(READY) ## format, lint, types, import directions, the fast tests: before every commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -m "$(FAST)" --ignore=tests/property --ignore=tests/netns --ignore=tests/interop

format: $(READY) ## let ruff format everything and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(READY) lab ## unit, property and network-namespace tests
	$(ENCLOSE) $(PYTEST) -m "not interop and not slow"

slow: $(READY) lab ## what takes minutes: a minute of mutated conversations, thousands of sessions
	$(ENCLOSE) $(PYTEST) -m "slow and not interop"

interop: $(READY) lab ## third-party peers: xl2tpd, pppd and tshark, which it installs (root)
	@[ "$$(id -u)" = 0 ] || { echo "make interop needs root: TAP devices, and a kernel that boots from /" >&2; exit 1; }
	@tests/interop/lab/install.sh missing
	$(ENCLOSE) $(PYTEST) -m interop

bench: $(READY) ## print the benchmarks' figures
	@scripts=$$(ls benchmarks/*.py 2>/dev/null | grep -v __init__); \
	if [ -z "$$scripts" ]; then echo "no benchmarks yet: they come as benchmarks/*.py"; fi; \
	for script in $$scripts; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

lab:
	@deploy/lab/setup.sh lab

clean: ## remove what make made, .venv included
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml deploy/lab/setup.sh
	@deploy/lab/setup.sh python
	@touch $@
