# The commands of CONTRIBUTING.md. Everything works from a fresh clone with Go and an OpenSSH client.

TOOL = go tool -modfile=tools/go.mod

VERSION := $(or $(VERSION),$(shell git describe --tags --always --abbrev=12 --dirty 2>/dev/null),unknown)
ARCHES = amd64 arm64
IMAGE = nomadctld:$(VERSION)

# Static, and the same bytes wherever it is built: no paths, no time, nothing of the checkout but the version, and nothing of
# the environment. The Dockerfile has the same flags.
RELEASE = CGO_ENABLED=0 GOOS=linux GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= go build -trimpath -buildvcs=false -ldflags "-s -w -X main.stamp=$(VERSION)"

.PHONY: build demo test check lint generate picture bench image dist $(ARCHES:%=dist/nomadctld-linux-%)

build: ## the binary
	go build -ldflags "-X main.stamp=$(VERSION)" -o nomadctld .

demo: ## a gateway to three simulated clusters, to try out; ARGS="ps mattermost" runs just that
	@go run . demo $(ARGS)

test: ## all tests; against a real Nomad too where NOMADCTLD_TEST_NOMAD or PATH leads to one
	go test -p 1 -timeout 30m ./...

check: lint ## what CI checks
	go test -p 1 -parallel 2 -race -short -timeout 40m ./... # few at a time: the detector is slow, and they speak to real daemons
	$(MAKE) test

lint:
	@files=$$($(TOOL) gofumpt -l .); if [ -n "$$files" ]; then echo "not formatted (make generate mends it):" $$files; exit 1; fi
	go vet ./...
	$(TOOL) staticcheck ./...

generate: ## the docs that are made from the commands; formatting
	go run ./internal/docs
	$(TOOL) gofumpt -w .

picture: ## docs/demo.svg, drawn from what the demo shows in a terminal
	go run ./internal/picture

bench: ## ratios to a peer in the same run
	go test -timeout 30m -run '^$$' -bench . -benchtime 1x .

image: ## the container image; ARGS="--build-arg NOMAD_IMAGE=..." for the Dockerfile's arguments
	docker build --build-arg VERSION=$(VERSION) --tag $(IMAGE) $(ARGS) .

dist: $(ARCHES:%=dist/nomadctld-linux-%) ## what a release consists of, in dist
	cd dist && sha256sum $(ARCHES:%=nomadctld-linux-%) >SHA256SUMS

$(ARCHES:%=dist/nomadctld-linux-%): dist/nomadctld-linux-%:
	GOARCH=$* $(RELEASE) -o $@ .
