# make run     the demo: everything set up, started and shown on one page (make run ARGS=--walk plays it without hands)
# make test    everything set up and every test run against real peers (make test ARGS="-k bounce" picks some)
# make check   formatter, linter and type checker
# make bench   the benchmarks
# make freeze  writes deploy/constraints*.txt from what is installed
# make clean   removes the environments and caches; data in var/ stays

SETUP := bash deploy/setup/setup.sh
ARGS ?=

.PHONY: run test check bench freeze clean

run:
	@$(SETUP) junto
	@exec .venv/bin/python deploy/demo/run.py $(ARGS)

test:
	@$(SETUP) test
	@exec .venv/bin/python deploy/setup/suite.py test $(ARGS)

check:
	@$(SETUP) junto
	@exec .venv/bin/python deploy/setup/suite.py check

bench:
	@$(SETUP) test
	@exec .venv/bin/python -m tests.benchmarks $(ARGS)

freeze:
	@$(SETUP) freeze

clean:
	rm -rf .venv .venv-synapse .venv-node .setup build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
