# The commands of CONTRIBUTING.md. Everything works from a fresh clone with Go and an OpenSSH client.

TOOL = go tool -modfile=tools/go.mod

.PHONY: build demo test check lint generate bench

build: ## the binary
	go build -o nomadctld .

demo: ## a gateway to three simulated clusters, to try out; ARGS="ps mattermost" runs just that
	@go run . demo $(ARGS)

test: ## all tests; against a real Nomad too where NOMADCTLD_TEST_NOMAD or PATH leads to one
	go test -timeout 5m ./...

check: lint ## what CI checks
	go test -race -timeout 15m ./...
	$(MAKE) test

lint:
	@files=$$($(TOOL) gofumpt -l .); if [ -n "$$files" ]; then echo "not formatted (make generate mends it):" $$files; exit 1; fi
	go vet ./...
	$(TOOL) staticcheck ./...

generate: ## the docs that are made from the commands; formatting
	go run ./internal/docs
	$(TOOL) gofumpt -w .

bench: ## ratios to a peer in the same run
	go test -run '^$$' -bench . -benchtime 1x .
