# Posthorn's tasks. "make help" lists them. Nothing here asks questions.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s
BENCH    ?= .
# Packages under test, such as PKG=./internal/store/...
PKG      ?= ./...

.PHONY: help
help: ## List the targets.
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/posthorn.
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/posthorn ./cmd/posthorn

# npm writes this file last, so a broken installation is done again.
ui_packages := web/ui/node_modules/.package-lock.json
$(ui_packages): web/ui/package.json web/ui/package-lock.json
	cd web/ui && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null
	@touch $@

.PHONY: ui
ui: $(ui_packages) ## Build the web UI of web/ui into internal/ui/dist; needs Node.js 20 and npm.
	cd web/ui && npm run --silent api && npm run --silent build

.PHONY: ui-check
ui-check: test-setup $(ui_packages) ## Check the web UI's source, and that the committed build is made of it.
	cd web/ui && npm run --silent check && npm run --silent test
	@state() { find internal/ui/dist web/ui/src/api -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; }; \
	before=$$(state); $(MAKE) --no-print-directory ui; \
	if ! diff <(echo "$$before") <(state); then \
		echo 'the build of the web UI is not that of its source, or its API types are not those of docs/openapi.json: commit what "make ui" wrote' >&2; exit 1; \
	fi

.PHONY: screens
screens: test-setup ## Take the pictures of docs/screens anew, in the typeface Inter (Debian: fonts-inter).
	UPDATE_SCREENS=1 $(GO) test -count=1 -run '^TestUI$$' ./test

.PHONY: test-setup
test-setup: ## Install what the tests need: Node's packages, and programs when root.
	@test/setup

.PHONY: test
test: test-setup ## Run all tests, with the race detector.
	$(GO) test -race -shuffle=on -timeout 60m $(PKG) # a busy machine takes longer than the usual ten minutes for a package
	$(GO) test -shuffle=on ./internal/deliver # many more simulations than under the race detector
	@if compgen -G 'test/js/*.test.*js' >/dev/null; then cd test/js && node --test; fi

.PHONY: arch
arch: ## Check the import rules and the links of the documentation.
	$(GO) test -count=1 ./internal/arch

.PHONY: vet
vet: ## Run go vet.
	$(GO) vet ./...

.PHONY: lint
lint: ## Run the linters and check the formatting. The first run builds them, which takes minutes.
	$(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## Format the code as the linters want it.
	$(TOOL) golangci-lint fmt ./...

.PHONY: tidy-check
tidy-check: ## Check that go.mod and go.sum are tidy.
	$(GO) mod tidy -diff

.PHONY: docs
docs: ## Write the generated pages anew.
	$(GO) run ./internal/config/gendocs docs/configuration.md
	$(GO) test -count=1 -run '^TestDocs$$' ./internal/cli -update
	$(GO) test -count=1 -run '^TestDocs$$' ./receiver -update

.PHONY: generated-check
generated-check: ## Check that the generated pages are up to date.
	@state() { git status --porcelain -- docs; git diff -- docs; }; \
	before=$$(state); $(MAKE) --no-print-directory docs; \
	if [[ "$$(state)" != "$$before" ]]; then \
		git --no-pager diff --stat -- docs; echo 'generated pages were not up to date: commit what "make docs" wrote' >&2; exit 1; \
	fi

.PHONY: vuln
vuln: ## Look for known vulnerabilities, where their database can be reached.
	@TOOL='$(TOOL)' .ci/vulncheck

.PHONY: check
check: tidy-check generated-check ui-check arch vet lint test vuln ## Run everything that CI runs.
	@echo 'check: all good'

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (10s).
	@grep -rnoE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]+' . | \
	while IFS=: read -r file _ name; do \
		echo "== $$(dirname "$$file") $${name#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
	done

.PHONY: bench
bench: ## Run the Go benchmarks that match BENCH (all).
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: clean
clean: ## Remove what the other targets made.
	rm -rf bin test/js/node_modules test/js/out web/ui/node_modules
