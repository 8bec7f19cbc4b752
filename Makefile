# The development commands (see CONTRIBUTING.md). All except check (gcc) and image (Docker) work in a fresh
# clone with Go and an OpenSSH client.

TOOL = go tool -modfile=tools/go.mod

VERSION := $(or $(VERSION),$(shell git describe --tags --always --abbrev=12 --dirty 2>/dev/null),unknown)
ARCHES = amd64 arm64
BINARY = ./nomadctld
IMAGE = nomadctld:$(VERSION)

# The packages with tests that use real programs. A test checks this list.
E2E = ./backends/docker ./backends/nomad ./deploy ./internal/e2e ./internal/gen/docs ./internal/nomadcli \
	./internal/testenv/dockertest ./internal/testenv/nomadtest

STAMP = -X nomadctld/internal/cli.stamp=$(VERSION)

# A static, reproducible build: the binary depends on the source and the version, not on paths, time or environment. The
# Dockerfile uses the same flags.
RELEASE = CGO_ENABLED=0 GOOS=linux GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= \
	go build -trimpath -buildvcs=false -ldflags "-s -w $(STAMP)"

.PHONY: help build demo test e2e release-test soak check lint generate picture bench image dist
.PHONY: $(ARCHES:%=dist/nomadctld-linux-%)

build: ## build the binary; the default
	go build -ldflags "$(STAMP)" -o $(BINARY) .

help: ## list the targets
	@awk -F ': .*## ' '/^[a-z0-9-]+: .*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# On a terminal, "sh -m" makes the demo the only process that gets Ctrl-C. Otherwise make would get it too, and fail.
demo: ## start a gateway to three simulated clusters; with ARGS="ps mattermost", run one command and exit
	@echo "building nomadctld (the first time takes a minute or two)" >&2
	@go build -ldflags "$(STAMP)" -o $(BINARY) .
	@if [ -t 0 ]; then exec sh -mc '"$$0" demo "$$@"' $(BINARY) $(ARGS); else exec $(BINARY) demo $(ARGS); fi

test: ## run the tests that need only Go and ssh
	go test -short -parallel 4 ./...

e2e: ## run the tests with SSH clients, Docker, and Nomad if NOMADCTLD_TEST_NOMAD or PATH names it
	go test -count 1 -parallel 6 -timeout 20m $(E2E)

release-test: ## test the release files and the image
	NOMADCTLD_TEST=release go test -count 1 -timeout 20m ./internal/release

soak: ## run the tests that take minutes; one at a time, because they use all processors
	NOMADCTLD_TEST=soak go test -count 1 -p 1 -parallel 1 -timeout 2h -run Soak ./...

check: lint ## run the checks of CI
	go test -parallel 4 -race -timeout 20m ./...
	$(MAKE) test e2e release-test

lint:
	@files=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$files" ]; then echo "not formatted (run make generate):" $$files; exit 1; fi
	go vet ./...
	$(TOOL) staticcheck ./...

generate: ## generate the docs from the commands, and format the code
	go run ./internal/gen/docs
	$(TOOL) gofumpt -w .

picture: ## draw docs/demo.svg from the terminal output of the demo
	go run ./internal/gen/picture

bench: ## run the benchmarks; they compare the gateway with other programs, such as docker exec, in the same run
	go test -timeout 30m -run '^$$' -bench . -benchtime 1x ./internal/e2e

image: ## build the container image; ARGS="--build-arg NOMAD_IMAGE=..." passes arguments to docker build
	docker build --build-arg VERSION=$(VERSION) --tag $(IMAGE) $(ARGS) .

dist: $(ARCHES:%=dist/nomadctld-linux-%) ## build the release files in dist
	cd dist && sha256sum $(ARCHES:%=nomadctld-linux-%) >SHA256SUMS

$(ARCHES:%=dist/nomadctld-linux-%): dist/nomadctld-linux-%:
	GOARCH=$* $(RELEASE) -o $@ .
