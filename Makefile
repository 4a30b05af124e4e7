# What is done with this project, the same for people and for CI.

# An older Go fetches the toolchain that go.mod asks for by itself, also where
# the environment has said that it is not to.
export GOTOOLCHAIN := auto

FUZZTIME ?= 30s
ROUNDS   ?= 1000

VERSION = $(shell git describe --always --dirty 2>/dev/null || echo dev)

# A tool that reads Go must be built with the Go that it reads, whatever Go its
# own go.mod is content with.
GOFMT         = "$$(go env GOROOT)/bin/gofmt"
WITH_OUR_GO   = GOTOOLCHAIN=$$(go env GOVERSION)
GOLANGCI_LINT = $(WITH_OUR_GO) go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = $(WITH_OUR_GO) go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help
help: ## List the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Run the service until Ctrl-C; ARGS="--addr 127.0.0.1:9000" adds flags
	@exec bin/orders serve $(ARGS)

.PHONY: build
build: ## Build bin/orders
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/orders ./cmd/orders

.PHONY: test
test: ## Run all tests; needs nothing but Go
	go test ./...

.PHONY: race
race: ## Run all tests with the race detector; needs a C compiler
	@if command -v "$$(go env CC)" >/dev/null; then \
		set -x; CGO_ENABLED=1 go test -race ./...; \
	elif [ -n "$$CI" ]; then \
		echo "There is no C compiler, so races cannot be looked for." >&2; exit 1; \
	else \
		echo "*** There is no C compiler: the tests run WITHOUT the race detector. ***" >&2; \
		go test ./...; \
	fi

.PHONY: fmt
fmt: ## Format the code
	$(GOFMT) -l -w .

.PHONY: fmt-check
fmt-check: ## Fail if code is not formatted
	@files=$$($(GOFMT) -l .) || exit 1; \
	[ -z "$$files" ] || { echo "make fmt would change:" $$files >&2; exit 1; }

.PHONY: tidy-check
tidy-check: ## Fail if go mod tidy would change go.mod or go.sum
	go mod tidy -diff

.PHONY: vet
vet: ## Run go vet
	go vet ./...

.PHONY: lint
lint: ## Run the linters of .golangci.yaml
	$(GOLANGCI_LINT) run

# The contract and the docs are held to the code by tests, so race covers them.
.PHONY: check
check: fmt-check tidy-check vet lint race ## Run all that must be green before a commit

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s)
	@targets=$$(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' .) || { echo "There are no fuzz targets." >&2; exit 1; }; \
	for found in $$(echo "$$targets" | sed 's/:func /:/'); do \
		dir=$$(dirname "$$found"); \
		(set -x; go test -run '^$$' -fuzz "^$${found#*:}$$" -fuzztime $(FUZZTIME) "$$dir") || exit 1; \
	done

.PHONY: crash
crash: ## Kill the service ROUNDS (1000) times and look for lost orders
	go run ./crash -rounds $(ROUNDS)

.PHONY: bench
bench: ## Measure the service under load and write bench/results.md; takes a quarter of an hour
	go run ./bench

.PHONY: bench-short
bench-short: ## Measure for a minute; fail if a figure is far off its goal
	go run ./bench -short

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the code calls; asks vuln.go.dev
	$(GOVULNCHECK) ./...

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
