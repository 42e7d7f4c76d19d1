# make run    a virtual signer on a real kernel, its HTTP signer on 127.0.0.1:20090; Ctrl-C ends it
# make test   all tests: unit, system, and those in the lab
# make check  format, lint, types, shell scripts
# make bench  the numbers of docs/benchmarks.md
# make soak   a minute of mixed load, and whether anything grows
# make test-faults  every fault scenario in full, 45 minutes; goes on where it was stopped
# make test-crash, make test-crash-full  the power cut at every write: docs/durability.md
# make fuzz   a million inputs for each parser, a quarter of an hour: docs/fuzzing.md
.PHONY: setup run test test-faults test-crash test-crash-full fuzz check fix bench soak lock

PYTHON := .venv/bin/python

setup:
	@builder/setup

run: setup
	@$(PYTHON) -m tests.demo

test: setup
	$(PYTHON) -m pytest --numprocesses 2 --dist loadgroup --durations=12

test-faults: setup
	@$(PYTHON) -m tests.faults

test-crash: setup
	$(PYTHON) -m tests.crash
	$(PYTHON) -m tests.crash mutants

test-crash-full: setup
	$(PYTHON) -m tests.crash full

fuzz: setup
	@$(PYTHON) -m tests.fuzz

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	@for program in $$(grep -lE '^#!/usr/bin/python3' builder/assets/*); do \
		.venv/bin/mypy --no-error-summary $$program || exit 1; done
	shellcheck -x builder/setup .ci/run $$(grep -lE '^#!/bin/(busybox )?sh' builder/assets/* tests/lab/guest/* image/guest/* 2>/dev/null)

fix: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: setup
	@$(PYTHON) -m tests.bench

soak: setup
	@$(PYTHON) -m tests.soak --duration 60

# Needs uv. Newer versions of everything, with hashes, for all three sets.
lock:
	builder/lock
