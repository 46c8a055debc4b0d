# Everything that is done with this repository. "make" alone lists it.

IMG        ?= hookstorm/hookstorm:latest
CONFIG     ?= config/default
TEST_FLAGS ?=
FUZZ_TIME  ?= 5s
BIN        := bin

CONTROLLER_GEN := go tool -modfile=hack/tools/controller-gen/go.mod controller-gen
GOLANGCI_LINT  := go tool -modfile=$(CURDIR)/hack/tools/golangci-lint/go.mod golangci-lint
CONTROLPLANE   := go run -C hack/controlplane .

# What generate and manifests write.
GENERATED := api/v1alpha1/zz_generated.deepcopy.go config/crd/bases config/rbac/role.yaml

# The control plane's binaries that tests need; the controller manager, which they do not, takes the longest to build.
TEST_BINARIES := etcd kube-apiserver kubectl

# Lists each package with what its tests import, and the patterns that tell ginkgo suites and tests with a control plane.
PACKAGES     := go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./...
GINKGO       := onsi.ginkgo
NEED_CLUSTER := hookstorm.hack.cluster|hookstorm.test.e2e

# The providers' own libraries sign in a module of their own.
TEST_PROVIDERS = go test -C test/providers -race -shuffle=on $(TEST_FLAGS) ./...

.DEFAULT_GOAL := help
.NOTPARALLEL: # each of the Go commands already uses all processors
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

##@ Help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*##"; print "Usage: make <target>"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*##/ {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Develop

.PHONY: run
run: build ## Run HookStorm on 127.0.0.1:9101, on a control plane of its own or on the cluster of KUBECONFIG
	@go build -o $(BIN)/run ./hack/run
	@KUBEBUILDER_ASSETS=$$($(CONTROLPLANE) $(if $(KUBECONFIG),kubectl)) && export KUBEBUILDER_ASSETS && exec $(BIN)/run

.PHONY: generate
generate: ## Generate the deep copies from the API types
	$(CONTROLLER_GEN) object paths=./api/...

.PHONY: manifests
manifests: ## Generate the CRDs from the API types, and HookStorm's role from the reconcilers' markers
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=hookstorm-manager paths=./... output:rbac:dir=config/rbac

.PHONY: fmt
fmt: ## Format the code as lint wants it
	$(GOLANGCI_LINT) fmt

.PHONY: vet
vet: ## Run go vet
	go vet ./...

.PHONY: lint
lint: ## Run the linters, which also hold the import table
	$(GOLANGCI_LINT) run
	cd test/providers && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml

.PHONY: verify
verify: generate manifests ## Regenerate, and fail if the tree held anything else
	@git diff --exit-code -- $(GENERATED)
	@untracked=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
	if [ -n "$$untracked" ]; then echo "generated, but not in git: $$untracked" >&2; exit 1; fi

##@ Test

.PHONY: test
test: build ## Run all tests on a real API server, with the race detector
	@KUBEBUILDER_ASSETS=$$($(CONTROLPLANE) $(TEST_BINARIES)); export KUBEBUILDER_ASSETS; \
	plain=$$($(PACKAGES) | awk '!/$(GINKGO)/ {print $$1}'); \
	suites=$$($(PACKAGES) | awk '/$(GINKGO)/ {print $$1}'); \
	set -x; \
	go test -race -shuffle=on $(TEST_FLAGS) $$plain; \
	if [ -n "$$suites" ]; then go test -race $(TEST_FLAGS) $$suites -ginkgo.randomize-all; fi; \
	$(TEST_PROVIDERS)

.PHONY: test-unit
test-unit: ## Run the tests that need no control plane
	@packages=$$($(PACKAGES) | awk '!/$(NEED_CLUSTER)/ {print $$1}'); set -x; \
	go test -race -shuffle=on $(TEST_FLAGS) $$packages; \
	$(TEST_PROVIDERS)

# By default Go spends up to a minute of that on making a single input shorter. Its fuzzer may take the end of its time for
# a failure, without an input that fails (golang/go#75804): then the target is run again.
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_TIME
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	run() { go test -run='^$$' -fuzz="^$$2$$" -fuzztime=$(FUZZ_TIME) -fuzzminimizetime=1s "./$$1" 2>&1 | tee "$$log"; }; \
	git grep --untracked -oE '^func Fuzz[A-Za-z]+' -- '*_test.go' | while IFS=: read -r file target; do \
		directory=$$(dirname "$$file"); target=$${target#func }; \
		echo "fuzzing $$file $$target for $(FUZZ_TIME)"; \
		run "$$directory" "$$target" && continue; \
		grep -q '^    context deadline exceeded$$' "$$log" && ! grep -q 'Failing input' "$$log" || exit 1; \
		run "$$directory" "$$target"; \
	done

.PHONY: soak
soak: build ## Run the long tests: kills, restarts, queues and a minute of each fuzz target
	@$(MAKE) fuzz FUZZ_TIME=60s
	@KUBEBUILDER_ASSETS=$$($(CONTROLPLANE) $(TEST_BINARIES)); export KUBEBUILDER_ASSETS; set -x; \
	HOOKSTORM_SOAK=1 go test -v -race -timeout=24h $(TEST_FLAGS) ./test/e2e/... ./internal/queue/... ./webhookserver/

.PHONY: bench
bench: build ## Measure, print a table and write bench.json
	@KUBEBUILDER_ASSETS=$$($(CONTROLPLANE) $(TEST_BINARIES)); export KUBEBUILDER_ASSETS; set -x; \
	go run ./test/bench

##@ Build and install

.PHONY: build
build: ## Build the manager, bin/hookstorm
	go build -o $(BIN)/hookstorm .

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl, and print their directory
	@$(CONTROLPLANE)

.PHONY: install
install: ## Install the CRDs in the cluster that kubectl uses
	kubectl apply --server-side -k config/crd
	kubectl wait --for=condition=Established -f config/crd/bases

.PHONY: deploy
deploy: install ## Install all of HookStorm (CONFIG=config/nats: on NATS) in the cluster that kubectl uses, with the image IMG
	kubectl kustomize $(CONFIG) | sed 's|image: hookstorm/hookstorm:latest|image: $(IMG)|' | kubectl apply --server-side -f -
