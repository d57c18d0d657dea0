# `make demo` shows the main job on this machine, `make test` runs the whole suite; both set up what they need.
.DEFAULT_GOAL := help
.PHONY: help setup setup-forecast setup-pipelines dev demo cluster-demo test bench lint docs pipelines manifests locks sbom clean
TICKLOOM := .venv/bin/tickloom

help:  ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup:  ## Make .venv with what runs the main job, from a hashed lock, and see to Java 17
	@scripts/setup laptop

setup-forecast: setup  ## Add what evaluates, trains, forecasts and serves; networks want make dev
	@.venv/bin/python -m pip install --quiet --require-hashes -r requirements/forecast.txt -r requirements/serve.txt

setup-pipelines:  ## Add .venv-pipelines, which compiles, runs and submits Kubeflow pipelines, over what make dev brings
	@scripts/setup pipelines

dev: setup-pipelines  ## The same with what tests, lints and trains; torch alone is 3 GB

demo: setup  ## Prices to table on embedded Kafka, Spark and Cassandra
	@$(TICKLOOM) demo

cluster-demo: setup  ## The dev profile on the cluster of KUBECONFIG: images, release, a job, its rows
	@.venv/bin/python scripts/cluster-demo $(ARGUMENTS)

test: dev  ## Run the whole suite: those of the cluster in one process, all others by file in the same and another
	@.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

bench: dev  ## Run every benchmark and print its figures
	@for name in ingest store indicators stream latency memory forecast experiment serve; do $(TICKLOOM) bench $$name || exit 1; done

lint: dev  ## Format check, lint, types, layers, generated pages and manifests
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(TICKLOOM) docs all --check
	@$(TICKLOOM) pipelines compile --check
	@.venv/bin/python scripts/chart-readme --check
	@.venv/bin/python scripts/chart-schema --check
	@.venv/bin/python scripts/manifests --check

docs: dev  ## Write the generated pages
	@$(TICKLOOM) docs all

pipelines: dev  ## Compile the Kubeflow pipelines to pipelines/compiled
	@$(TICKLOOM) pipelines compile

manifests: dev  ## Write manifests/base from the charts; needs helm
	@.venv/bin/python scripts/manifests

# dev comes first, and what it holds has its versions everywhere, so that locks can be installed side by side; the others
# do not go together with it. requirements/EXTRA-without.txt names what an image is to be spared of what others ask for
COMPILE := .venv/bin/uv pip compile pyproject.toml --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
  --python-version 3.11 --quiet
without = $(addprefix --excludes ,$(wildcard requirements/$(1)-without.txt))
locks: dev  ## Compile requirements/*.txt from pyproject.toml
	@$(COMPILE) --extra dev -o requirements/dev.txt
	@$(foreach extra,ingest stream operator forecast train foundation client serve laptop,$(COMPILE) --extra $(extra) \
	  --constraint requirements/dev.txt $(call without,$(extra)) -o requirements/$(extra).txt &&) true
	@$(foreach extra,mlflow pipelines components dashboard,$(COMPILE) --extra $(extra) $(call without,$(extra)) \
	  -o requirements/$(extra).txt &&) true

sbom: dev  ## Write a CycloneDX bill of materials for each image to build/sbom
	@.venv/bin/python scripts/sbom $(ARGUMENTS)

clean:  ## Remove what the commands above made in this folder
	@-$(TICKLOOM) down 2>/dev/null
	@rm -rf .venv .venv-pipelines .tickloom build/sbom .pytest_cache .mypy_cache .ruff_cache .hypothesis
