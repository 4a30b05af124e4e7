# What is done with this project, the same for people and for CI.

# An older Go fetches the toolchain that go.mod asks for by itself, also where
# the environment has said that it is not to.
export GOTOOLCHAIN := auto

FUZZTIME ?= 30s
ROUNDS   ?= 1000
KILLS    ?= 100
FOR      ?= 10m

VERSION = $(shell git describe --always --dirty 2>/dev/null || echo dev)

# A tool that reads Go must be built with the Go that it reads, whatever Go its
# own go.mod is content with.
GOFMT         = "$$(go env GOROOT)/bin/gofmt"
WITH_OUR_GO   = GOTOOLCHAIN=$$(go env GOVERSION)
GOLANGCI_LINT = $(WITH_OUR_GO) go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = $(WITH_OUR_GO) go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

# The tools that are written in Python have an environment each, because what
# they depend on does not agree. SAM=sam takes the SAM CLI on the PATH instead.
PYTHON ?= python3
SAM    ?= .tools/sam/bin/sam
OUR_SAM = $(filter .tools/%,$(SAM))

.PHONY: help
help: ## List the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Run the service until Ctrl-C; ARGS="--addr 127.0.0.1:9000" adds flags
	@exec bin/orders serve $(ARGS)

.PHONY: build
build: ## Build bin/orders
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/orders ./cmd/orders

# It prints what go test prints, and at the end which tests were skipped, and why.
GOTEST = go run ./tools/gotest

.PHONY: test
test: emulators ## Run all tests and list those that were skipped; needs Go alone, and Java 17 and Maven for the tests on AWS
	$(GOTEST) -timeout 20m ./...

# It tests packages with the race detector. Without a C compiler it fails in CI, and tests without the
# race detector elsewhere.
race = @if command -v "$$(go env CC)" >/dev/null; then \
		set -x; CGO_ENABLED=1 $(GOTEST) -race -timeout 20m $(1); \
	elif [ -n "$$CI" ]; then \
		echo "There is no C compiler, so races cannot be looked for." >&2; exit 1; \
	else \
		echo "*** There is no C compiler: the tests run WITHOUT the race detector. ***" >&2; \
		$(GOTEST) -timeout 20m $(1); \
	fi

.PHONY: race
race: emulators ## Run all tests with the race detector; needs a C compiler
	$(call race,./...)

# The emulators have a folder each, because their libraries do not agree.
.PHONY: emulators
emulators: ## Download the emulators of DynamoDB and SQS, once; needs Java 17 and Maven
	@if command -v java >/dev/null && $(MAKE) -s .emulators/dynamodb/fetched .emulators/elasticmq/fetched; then \
		:; \
	elif [ -n "$$CI" ]; then \
		echo "Java and Maven are needed to test the AWS deployment." >&2; exit 1; \
	else \
		echo "*** There are no Java and Maven, or they failed: tests of the AWS deployment are SKIPPED. ***" >&2; \
	fi

.emulators/%/fetched: test/awstest/emulators/%/pom.xml
	rm -rf $(@D)
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)
	@touch $@

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

# The packages whose goroutines share memory in one process. test/awstest would take minutes and adds
# no concurrent code that ships. make race tests all packages.
CONCURRENT = ./cmd/orders ./shared/... ./test/chaos ./tools/eventsource

.PHONY: check
check: check-ci ## Run all that must be green before a commit: linters, races in the concurrent packages, all other tests
	$(GOTEST) -timeout 20m $$(go list ./... | grep -vxF "$$(go list $(CONCURRENT))")

.PHONY: check-ci
check-ci: fmt-check tidy-check vet lint emulators ## Run what check adds to test: linters, and races in the concurrent packages
	$(call race,$(CONCURRENT))

# A part fails if it cannot run: CI is set.
part = @echo "=== make $(1)"; began=$$(date +%s); \
	CI=true $(MAKE) --no-print-directory $(1) || exit 1; \
	echo "=== make $(1): $$(($$(date +%s) - began)) s"

# This is the one list. .ci/run and .github/workflows/ci.yml prepare a machine, and call make test
# and this. govulncheck is a job of the workflow alone, because its database is online.
.PHONY: ci
ci: ## Run everything that a change must pass besides make test; CONTRIBUTING.md says what it needs
	$(call part,check-ci)
	$(call part,fuzz FUZZTIME=5s)
	$(call part,crash ROUNDS=25 KILLS=25)
	$(call part,chaos FOR=1m)
	$(call part,mutate ARGS=-short)
	$(call part,clients-test)
	$(call part,schemathesis)
	$(call part,template-lint)
	$(call part,local-test)
	$(call part,deploy-test)
	$(call part,bench-short)
	$(call part,soak DURATION=1m RATE=3000)
	$(call part,load USERS=200 SPAWN=50 DURATION=30s PROCESSING_TIME=5s)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s)
	@targets=$$(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' .) || { echo "There are no fuzz targets." >&2; exit 1; }; \
	for found in $$(echo "$$targets" | sed 's/:func /:/'); do \
		dir=$$(dirname "$$found"); \
		(set -x; go test -run '^$$' -fuzz "^$${found#*:}$$" -fuzztime $(FUZZTIME) "$$dir") || exit 1; \
	done

.PHONY: crash
crash: ## Kill the service ROUNDS (1000) times, and KILLS (100) backups and restores; find lost orders
	go run ./test/crash -rounds $(ROUNDS)
	go run ./test/crash -rounds $(ROUNDS) -fulfilment external
	go test -count=1 -timeout 20m -run Killed ./cmd/orders -kills $(KILLS)

.PHONY: chaos
chaos: emulators ## Play random histories with faults on both deployments for FOR (10m); needs Java 17 and Maven
	CI=true go test -p 2 -count=1 -timeout 0 -v -run '^TestChaos$$' ./shared/sqlite ./test/awstest -chaos.for $(FOR) $(ARGS)

.PHONY: mutate
mutate: emulators ## Break each protection in the code and see its test fail; needs Java 17 and Maven
	go run ./test/mutation $(ARGS)

# Not by go run, which would leave Locust and the service behind when it is terminated.
LOAD = .tools/locust/bin/python -B -m pytest -q -p no:cacheprovider test/load && go build -o bin/load ./test/load && exec bin/load \
	$(if $(USERS),-users '$(USERS)') $(if $(SPAWN),-spawn '$(SPAWN)') $(if $(DURATION),-duration '$(DURATION)') $(if $(HOST),-host '$(HOST)') \
	$(if $(PROCESSING_TIME),-processing-time '$(PROCESSING_TIME)') $(if $(LAG),-lag '$(LAG)')

.PHONY: load
load: .tools/locust/bin/locust ## Load the service with USERS (1000) Locust users for DURATION (5m); HOST=URL names another one
	$(LOAD)

.PHONY: load-ui
load-ui: .tools/locust/bin/locust ## The same, from Locust's web page on port 8089
	$(LOAD) -ui

.PHONY: soak
soak: ## Run at half of the saturation, or RATE creates a second, for DURATION (30m); fail if memory or latency grow
	go run ./test/crash -soak $(or $(DURATION),30m) $(if $(RATE),-rate $(RATE))

.PHONY: clients-test
clients-test: build .tools/openapi-python-client/bin/openapi-python-client .tools/openapi-generator/openapi-generator-cli-7.14.0.jar ## Generate clients in Go, Python, TypeScript and Java, and use them; needs Java 17, Maven, Node 20 and Python 3.11
	test/clients/with-service.sh test/clients/test.sh

.PHONY: schemathesis
schemathesis: build .tools/schemathesis/bin/schemathesis ## Send the service the requests that Schemathesis derives from the contract; needs Python 3.11
	test/clients/with-service.sh .tools/schemathesis/bin/schemathesis --config-file test/clients/schemathesis/schemathesis.toml run shared/api/openapi.yaml --checks all

.PHONY: bench
bench: ## Measure the service under load and write test/bench/results.md; takes about 30 minutes
	go run ./test/bench

.PHONY: bench-short
bench-short: ## Measure for a minute; fail if a figure is far from its goal
	go run ./test/bench -short

.PHONY: vuln
vuln: ## Find known vulnerabilities in the code that is called; asks vuln.go.dev
	$(GOVULNCHECK) ./...

# SAM has no settings for these variables. A plain `sam build` works, but the functions are twice as
# large, because they contain symbols, and may need the C library of this machine. With them, the same
# commit gives the same bytes.
SAM_BUILD = CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false -tags=lambda.norpc -ldflags=-s' $(SAM) build

# SAM reports code that does not compile as a missing file, so go build comes first.
.PHONY: sam-build
sam-build: $(OUR_SAM) ## Build the functions for sam deploy and sam local; ARGS="--config-env local" adds flags
	go build ./functions/...
	SAM_CLI_TELEMETRY=0 $(SAM_BUILD) $(ARGS)

# cfn-lint checks the template for SAM's rules, and SAM's translation of it for CloudFormation's rules,
# by default, with gradual deployments, and with a restored table. The translation does not use all
# parameters (W2001). An empty default is no ARN, and is read where a condition excludes it (W1030).
.PHONY: template-lint
template-lint: .tools/sam/bin/sam .tools/checkov/bin/checkov ## Check template.yaml with cfn-lint and checkov; needs Python 3.10 or newer
	.tools/sam/bin/cfn-lint template.yaml
	@for parameters in GradualDeployment=false GradualDeployment=true ExistingTable=restored; do \
		set -x; \
		.tools/sam/bin/python tools/translate.py $$parameters > .tools/translated.json && \
		.tools/sam/bin/cfn-lint --ignore-checks W2001 W1030 -- .tools/translated.json || exit 1; \
	done
	.tools/checkov/bin/checkov

.PHONY: tools
tools: .tools/sam/bin/sam .tools/ministack/bin/ministack ## Install SAM CLI and ministack under .tools; needs Python 3.10 or newer

# A tool is installed when its command is there and no older than its pins.
.tools/sam/bin/sam: tools/sam.txt
.tools/ministack/bin/ministack: tools/ministack.txt
.tools/checkov/bin/checkov: tools/checkov.txt
.tools/locust/bin/locust: tools/locust.txt
.tools/openapi-python-client/bin/openapi-python-client: tools/openapi-python-client.txt
.tools/schemathesis/bin/schemathesis: tools/schemathesis.txt
.tools/locust/bin/locust .tools/openapi-python-client/bin/openapi-python-client .tools/schemathesis/bin/schemathesis: PYTHON_MINOR = 11
.tools/%: PYTHON_MINOR = 10
.tools/%:
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, $(PYTHON_MINOR)))' 2>/dev/null || \
		{ echo "$(@F) needs Python 3.$(PYTHON_MINOR) or newer with venv, and $(PYTHON) is not that; PYTHON=... names another." >&2; exit 1; }
	rm -rf .tools/$(@F)
	$(PYTHON) -m venv .tools/$(@F)
	.tools/$(@F)/bin/pip install --quiet --disable-pip-version-check -r $< || { rm -rf .tools/$(@F); exit 1; }
	@touch $@

.tools/openapi-generator/openapi-generator-cli-%.jar:
	mvn -q -B dependency:copy -Dartifact=org.openapitools:openapi-generator-cli:$* -DoutputDirectory=$(CURDIR)/$(@D)

# tools/local/main.go describes these three.
LOCAL = @go build -o bin/local ./tools/local && exec bin/local

.PHONY: local
local: $(OUR_SAM) ## Run the AWS deployment on this machine until Ctrl-C; needs Docker and Python 3
	$(LOCAL) up -sam '$(SAM)' $(if $(PROCESSING_TIME),-processing-time '$(PROCESSING_TIME)') $(ARGS)

.PHONY: local-test
local-test: $(OUR_SAM) ## Test the AWS deployment on this machine; needs Docker and Python 3
	$(LOCAL) test -sam '$(SAM)'

.PHONY: deploy-test
deploy-test: $(OUR_SAM) .tools/ministack/bin/ministack ## Deploy template.yaml to an emulator and test it there; needs Python 3
	$(LOCAL) deploy-test -sam '$(SAM)'

.PHONY: clean
clean: ## Remove built files
	rm -rf bin .aws-sam
