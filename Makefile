# Everything a person does with this repository. `make` alone lists it.
.PHONY: help dev demo down test bench soak lock
.DEFAULT_GOAL := help
.NOTPARALLEL:

DOCKWORKER := .venv/bin/dockworker

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 14

dev: ## all of ECS on this machine, with a sample task; stays until Ctrl-C
	@packaging/bootstrap
	@packaging/engine up
	@$(DOCKWORKER) dev --data .dockworker --sample --stop-line "make -C '$(CURDIR)' down"

demo: ## the same, from start to end: runs a task, shows its log, cleans up
	@packaging/demo

down: ## stop the tasks that `make dev` left running, and an engine it started
	@packaging/bootstrap
	@$(DOCKWORKER) dev --data .dockworker --stop
	@packaging/engine down

test: ## set up, start an engine, check form and types, run every test
	@packaging/check

bench: ## measure what is added to bare Docker: start, stop, dependencies, burst, memory, processor
	@packaging/bootstrap test
	@packaging/engine up
	@.venv/bin/python -m tests.bench

soak: ## what takes too long for every change: graphs, histories, 200 kills, 10,000 tasks, 1,000 ports and more
	@packaging/bootstrap test
	@packaging/engine up
	@.venv/bin/python -m tests.soak

lock: ## write constraints.txt anew, from the newest versions that pyproject.toml allows
	@packaging/lock
