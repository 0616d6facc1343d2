# Thin on purpose: what a target does is in the script or the tool that it calls.
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
BIN := .venv/bin
FAST := tests/architecture tests/unit tests/functional tests/replay

.DEFAULT_GOAL := help
.PHONY: help setup setup-sim demo demo-sim test check lint types imports fast coverage bench scale lab docs lock format clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## install the packages (as root) and the venv; quick when there
	@deploy/setup/packages
	@deploy/setup/venv runtime compute dev

setup-sim: ## only what demo-sim needs: no root, no libvirt
	@deploy/setup/venv runtime

demo: setup ## boot a guest on real libvirt hosts and live-migrate it there and back (root)
	@$(BIN)/python -m deploy.demo.real

demo-sim: setup-sim ## the same story on simulated hypervisors, in one process
	@$(BIN)/python -m deploy.demo.sim

test: setup check ## everything, as CI runs it (root)
	$(BIN)/pytest -n 2 --dist loadfile tests/integration

check: lint types imports fast ## what every commit passes: all but integration

lint: ## ruff: rules and format
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

types: ## mypy, strict
	$(BIN)/mypy

imports: ## the arrows between rooms
	$(BIN)/lint-imports --cache-dir .cache/import-linter

fast:
	$(BIN)/pytest -n 4 --dist loadfile $(FAST)

coverage: ## the fast tests again, with the lines and branches that they miss
	$(BIN)/pytest -q -n 2 --dist loadfile --cov --cov-report=term $(FAST)

bench: setup ## measure: tables, JSON under .cache/bench; ONLY="idle drain" for some, WRITE=1 into doc (root)
	@$(BIN)/python -m tests.benchmarks $(ONLY) $(if $(WRITE),--write)

scale: setup ## simulated hosts on a real broker and database: HOSTS= TOPOLOGY= PARTS= MOVES= MINUTES= (root)
	@$(BIN)/python -W ignore -m deploy.scale $(foreach word,HOSTS TOPOLOGY PARTS CONDUCTORS SCHEDULERS MOVES MINUTES,$(if $($(word)),--$(shell echo $(word) | tr A-Z a-z) $($(word))))

lab: setup ## start the lab of two hosts; deploy/lab/lab down ends it (root)
	@deploy/lab/lab up --hosts 2

docs: ## regenerate sample configuration, diagrams, tables, wire lock (UNRELEASED=1 rewrites it)
	@$(BIN)/python -W ignore -m deploy.generated $(if $(UNRELEASED),--rewrite)
	@$(BIN)/python -m tests.replay

lock: ## pin requirements and the wire anew
	@requirements/lock $(CURDIR)/$(BIN)/pip-compile
	@$(MAKE) docs

format: ## rewrite to the house format
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

clean: ## remove what make made, but not the packages
	rm -rf .venv .cache *.egg-info .pytest_cache .hypothesis
