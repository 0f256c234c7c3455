# `make` alone prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOLS := $(CURDIR)/bin/tools
LINT_VERSION := v2.15.0
LINT := $(TOOLS)/golangci-lint-$(LINT_VERSION)
# One package's limit; the whole suite is to stay under 15 minutes on two cores.
TEST_TIMEOUT ?= 25m
# The packages whose promise is about several goroutines at once.
RACE := ./internal/loop/... ./internal/store/... ./internal/web/... ./sync/... ./mailer/... ./segments/...

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/relance, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/relance ./cmd/relance

.PHONY: demo
demo: build ## a recorded shop flows through to mails in your browser; needs nothing but Go
	bin/relance demo

.PHONY: test
test: deps ## everything, on SQLite and on a real MariaDB; installs what is missing
	$(GO) vet ./...
	$(GO) test -timeout $(TEST_TIMEOUT) ./...

.PHONY: race
race: deps ## the tests of what runs side by side, under the race detector (needs a C compiler)
	$(GO) test -race -timeout $(TEST_TIMEOUT) $(RACE)

.PHONY: deps
deps: ## install what the tests need: MariaDB's server, Chromium, curl, openssl
	@deployments/test-deps

.PHONY: lint
lint: $(LINT) ## golangci-lint at the pinned version, installed into bin/tools; holds the import direction
	$(LINT) run --allow-parallel-runners ./...

.PHONY: fmt
fmt: $(LINT) ## format as the linter wants it
	$(LINT) fmt ./...

.PHONY: lint-tool
lint-tool: $(LINT)

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(TOOLS)/golangci-lint $@

.PHONY: bench
bench: deps ## the figures that are promised, as ratios to a floor measured in the same run
	$(GO) test -run '^$$' -bench . -timeout 30m ./... | grep -v -e 'no test files' -e '^ok .*\[no tests to run\]'

.PHONY: soak
soak: deps ## the long ones: thousands of seeds, a million contacts
	$(GO) test -timeout 12h -count 1 -rapid.checks=5000 $$(grep -rlE '"pgregory.net/rapid"|/ruletest"' --include='*_test.go' . | xargs -n1 dirname | sort -u)
	RELANCE_SOAK=1 $(GO) test -timeout 12h -count 1 ./...

.PHONY: pictures
pictures: deps ## paint the mails that the manual shows (docs/pictures) anew
	RELANCE_PICTURES=1 $(GO) test -count 1 -run TestTheManualShowsEveryMail ./mailer/templates

.PHONY: clean
clean: ## remove what was built; tools stay
	rm -rf dist
	find bin -maxdepth 1 -type f -delete 2>/dev/null || true
