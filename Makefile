# `make` alone says what there is. Everything a target needs beyond Go, Python 3
# with pip, and make, it fetches.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# An older Go fetches this one by itself.
export GOTOOLCHAIN ?= go1.27.3
# The image holds one static binary. All is built and tested as what it is made of;
# TESTFLAGS=-race needs CGO_ENABLED=1 and a C compiler.
export CGO_ENABLED ?= 0
# The same for paths: what tests have compiled serves clusters and releases, too.
export GOFLAGS ?= -trimpath

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOFLAGS_BUILD := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
# Newer releases want a module that the proxy does not serve, and this one does not
# compile with Go 1.27. It builds egctl with the Go that go.mod names all the same.
GORELEASER ?= GOTOOLCHAIN=go1.26.8 go run github.com/goreleaser/goreleaser/v2@v2.16.0
GOLANGCI_LINT ?= go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# What to test and how; e.g. make test PKG=./pkg/store TESTFLAGS='-race -v'
PKG ?= ./...
TESTFLAGS ?=
# What make bench measures for, and how many edits it times through Envoy.
BENCHTIME ?= 1s
EDITS ?= 300
FUZZTIME ?= 30s
CLUSTER ?=
E2E ?=
# Which runs and which tests of make conformance, as patterns, and flags of go test.
MODE ?=
RUN ?=
CONFORMANCE ?=
VALIDATION ?=
IMAGE ?= docker.io/egctl/egctl:$(VERSION)

.PHONY: help
help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/egctl
	go build $(GOFLAGS_BUILD) -o bin/egctl ./cmd/egctl

.PHONY: charts
charts: ## Package the Helm charts into dist/
	go run ./hack/charts -version $(VERSION) -o dist

.PHONY: envoy
envoy: ## Fetch the Envoy that egctl and its tests run, into egctl's cache
	go run ./hack/fetch-envoy

.PHONY: quickstart
quickstart: build envoy ## Run a gateway on this machine and send a request through it
	bin/egctl quickstart --local

# The last two are modules of their own and need Linux and root; elsewhere they say
# that they are skipped. The first time builds all of Kubernetes: ten minutes and
# more. PKG leaves them out. The one test that is skipped builds all of Envoy Gateway.
.PHONY: test
test: envoy ## Run all tests but conformance, validation and the move from Envoy Gateway
	go test -timeout 20m $(TESTFLAGS) $(PKG)
ifeq ($(PKG),./...)
	cd test/cluster && go test -timeout 60m $(TESTFLAGS) ./...
	$(MAKE) e2e E2E='$(TESTFLAGS) -skip=TestMoveFromEnvoyGateway'
endif

# CLUSTER are flags, such as --name=mine.
.PHONY: cluster-up
cluster-up: envoy ## Start a real Kubernetes for tests (Linux, root); see test/cluster
	cd test/cluster && go run ./cmd/cluster up $(CLUSTER)

.PHONY: cluster-down
cluster-down: ## Stop it and remove all that it had
	cd test/cluster && go run ./cmd/cluster down $(CLUSTER)

# Two clusters side by side, for both wait a part of their time: one for what egctl
# promises, one for its packages. EGCTL_E2E_KEEP=1 keeps the first for the next run. E2E are flags of go
# test, such as -run=TestQuickstart.
.PHONY: e2e
e2e: envoy ## Prove on a real Kubernetes what egctl promises (Linux, root); see test/e2e
	cd test/e2e && go test -p 2 -timeout 40m $(E2E) ./...

# Four runs of about ten minutes; see test/conformance. Without a package, go test
# shows results as they come.
.PHONY: conformance
conformance: envoy ## Run the Gateway API's conformance suite (Linux, root); see test/conformance
	cd test/conformance && CGO_ENABLED=0 EGCTL_CONFORMANCE_RUN='$(RUN)' VERSION='$(VERSION)' \
	  go test -timeout 90m -parallel 4 -run 'TestConformance/$(MODE)' $(CONFORMANCE)

# A third of the suite, with something of each kind of route, of listeners and of
# certificates.
PART := GRPCRoute|SimpleSameNamespace|Weight|ReferenceGrant|CrossNamespace|ClientCertificate|Misdirected|ListenerSetAllowed|Infrastructure|StaticAddresses|ListenerFilters|Routability|ClusterTrustBundle
.PHONY: conformance-part
conformance-part: ## Run a representative part of the conformance suite
	$(MAKE) conformance MODE=experimental-default RUN='$(PART)'

# VALIDATION are flags of go test, such as -v or -update.
.PHONY: validation
validation: ## Compare egctl validate with a real API server (Linux, root); see test/conformance
	cd test/conformance && go test -timeout 60m $(VALIDATION) ./validation

.PHONY: image
image: ## Make the container image, as dist/egctl-image.tar
	CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o dist/image/egctl ./cmd/egctl
	cd test/cluster && go run ./cmd/image -program ../../dist/image/egctl -o ../../dist/egctl-image.tar $(IMAGE)

# Goreleaser compiles from source the first time: minutes. The size is a promise
# (docs/performance.md), in bytes.
SIZE_LIMIT := 90000000
.PHONY: release-check
release-check: ## Build what a release has for this platform, and try it
	$(GORELEASER) check
	$(GORELEASER) build --snapshot --clean --single-target --skip=before
	shopt -s nullglob; \
	for program in dist/release/egctl_$$(go env GOOS)_$$(go env GOARCH)*/egctl; do \
	  "$$program" version; \
	  size=$$(wc -c < "$$program"); echo "$$program: $$size bytes"; \
	  test "$$size" -lt $(SIZE_LIMIT) || { echo "that is too much: the limit is $(SIZE_LIMIT)" >&2; exit 1; }; \
	  image=docker.io/egctl/egctl:$$("$$program" version | sed -n 's/^egctl: //p'); \
	  grep -q "image: $$image\$$" dist/release/quickstart.yaml || { echo "quickstart.yaml lacks $$image" >&2; exit 1; }; \
	  exit; \
	done; echo "no program was built" >&2; exit 1

.PHONY: release
release: ## Release the tag that is checked out; see .goreleaser.yaml
	$(GORELEASER) release --clean

.PHONY: lint
lint: ## Run golangci-lint (the first time builds it: a few minutes)
	for module in . test/cluster test/e2e test/conformance test/conformance/upstream; do (cd $$module && $(GOLANGCI_LINT) run ./...); done

# Each line of figures goes into docs/performance.md. Alone on the machine, this
# takes about seven minutes; BENCHTIME=1x is a quick look.
.PHONY: bench
bench: envoy ## Measure, and write the tables of docs/performance.md
	{ go test -run '^$$' -bench '^Benchmark(Event|Full)$$' -benchmem -benchtime $(BENCHTIME) -timeout 60m ./pkg/translate; \
	  go test -run '^$$' -bench '^BenchmarkResident$$' -benchtime 3x ./pkg/translate; \
	  go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 30m ./pkg/controller/xds; \
	  go test -run '^$$' -bench . -benchtime $(EDITS)x -timeout 60m ./pkg/local; \
	  go test -run '^$$' -bench . -benchtime 5x -timeout 30m ./cmd/egctl; } | tee bench.out
	go run ./hack/bench-table docs/performance.md < bench.out

.PHONY: bench-cluster
bench-cluster: envoy ## Measure on a real Kubernetes (Linux, root), likewise
	cd test/e2e && EGCTL_E2E_FIGURES=1 go test -timeout 30m -v -run '^TestFigures$$' . | tee ../../bench.out
	go run ./hack/bench-table docs/performance.md < bench.out

# Only the packages that have golden files know the flag.
.PHONY: golden
golden: ## Rewrite the golden files; read the diff before you commit it
	grep -rlE --include='*_test.go' 'flag\.Bool\("update"' charts pkg \
	  | xargs -n1 dirname | sort -u | sed 's,^,./,' \
	  | xargs -I{} go test {} -update

.PHONY: docs
docs: ## Rewrite the generated pages of docs/: commands and findings
	go run ./hack/gen-docs

# go test takes one fuzz target at a time.
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME
	go test -list '^Fuzz' $(PKG) \
	  | awk '/^Fuzz/ {targets[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print $$2, targets[i]; n = 0}' \
	  | while read -r package target; do \
	      echo "== $$package $$target"; \
	      go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) </dev/null; \
	    done

.PHONY: clean
clean: ## Remove what was built here (Envoy stays in egctl's cache)
	rm -rf bin dist
