# make check is what to run before a commit; .ci/run is what must pass.
# Word for word the same commands work without make: each target is one or two lines.

GO       ?= go
FUZZTIME ?= 10s
BENCH    ?= .
CONCURRENT = ./client ./linearizability ./network ./node ./peer ./replica/... ./shardrouter/... ./store
# The tests behind the build tag deploy, "TestA|TestB".
DEPLOYED = $(shell grep -l "^//go:build deploy" jepsen-lite/*_test.go | xargs sed -n "s/^func \(Test[A-Za-z0-9]*\).t .*/\1/p" | paste -sd "|")

SEED     ?= 1
SEEDS    ?= 1-200
ONLY     ?=
TIME     ?= 60s
SOAK     ?= 10m
SOAK_COMPOSE ?= 5m
OUTAGES  ?= 18m
DISKS     = disk,mixture,kill,pause,partition
NODISKS   = kill,pause,slow,restart,partition,link,proxy,router,mixture

.PHONY: kvsim test-wasmtime probes jepsen jepsen-again soak jepsen-compose soak-compose outages sim campaign mutants help check fmt vet staticcheck test race wasm bench bench-floor fuzz import-words compose-words deploy-tests haproxy-kills images nettools readable compose-v2-check build clean

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

build: ## all programs, into bin/
	$(GO) build -o bin/ ./cmd/...
	@if command -v cc >/dev/null; then $(MAKE) --no-print-directory kvsim; fi # the fast one, where there is a C compiler

check: fmt vet staticcheck test ## all but the slow ones: fmt, vet, staticcheck, test

fmt: ## fail if a file is not as gofmt would write it (gofmt -w . mends that)
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck: ## the version that go.mod pins
	$(GO) tool staticcheck ./...

test: ## go test ./...
	$(GO) test ./...

race: ## the packages with goroutines, under the race detector
	$(GO) test -race $(CONCURRENT)

sim: ## one simulated world: make sim SEED=42
	$(GO) run ./cmd/kvsim run --seed $(SEED)

# Wasmtime comes with its C headers in a module, whose folder is known once it is downloaded; the same traces as with wazero, in half the time.
wasmtime = cd sim/wasmtime && $(GO) mod download github.com/bytecodealliance/wasmtime-go/v39 && CGO_CFLAGS="-O2 -I$$($(GO) list -m -f '{{.Dir}}' github.com/bytecodealliance/wasmtime-go/v39)/build/include" $(GO)

kvsim: ## bin/kvsim whose machines Wasmtime runs: twice as fast, needs a C compiler
	$(wasmtime) build -o ../../bin/ ./kvsim

test-wasmtime: ## both engines must run the same worlds, bit for bit (needs a C compiler)
	$(wasmtime) vet ./...
	$(wasmtime) test ./... $(TESTFLAGS)

probes: ## which worlds reach which probe, written down anew for the test that runs them: make probes SEEDS=1-100
	$(wasmtime) test . -run TestEveryProbeIsReached -record $(SEEDS) -v -timeout 2h

campaign: kvsim ## many simulated worlds: make campaign SEEDS=1-200
	bin/kvsim campaign --seeds $(SEEDS) --out kvsim-failing

mutants: kvsim ## plant every known bug and see the simulator find it (hours); ONLY=name for some
	bin/kvsim mutants --only "$(ONLY)" --out kvsim-kills

jepsen: ## break real processes and judge what clients saw: make jepsen TIME=2m SEED=7 JEPSEN="--nemesis kill"
	$(GO) build -o bin/jepsen-lite ./cmd/jepsen-lite
	bin/jepsen-lite run --time $(TIME) --seed $(SEED) $(JEPSEN)

jepsen-again: ## jepsen-lite must find out a router and a HAProxy that send writes again (minutes, and luck: up to three seeds)
	$(GO) test -tags again -count 1 -v -timeout 20m -run SendsAgain ./cmd/jepsen-lite

# Six fresh clusters: both methods judge each run whole, and none needs more memory than its own history. A run that is not good
# ends nothing: sum gives the exit code, also if one left no result.
soak: ## an hour of it: four times all families but disk, twice that one and some more; ends with one table. SOAK=1m for six minutes, JEPSEN= for flags
	$(GO) build -o bin/ ./cmd/kvorum ./cmd/jepsen-lite
	@rm -rf jepsen-lite-soak; mkdir jepsen-lite-soak; for n in 1 2 3 4 5 6; do \
		case $$n in 3|6) nemesis=$(DISKS);; *) nemesis=$(NODISKS);; esac; \
		bin/jepsen-lite run --nemesis $$nemesis --time $(SOAK) --seed $$(($(SEED) + n - 1)) --kvorum bin/kvorum --out jepsen-lite-soak/$$n $(JEPSEN) || echo "run $$n: exit code $$?" >&2; \
	done; bin/jepsen-lite sum jepsen-lite-soak/1 jepsen-lite-soak/2 jepsen-lite-soak/3 jepsen-lite-soak/4 jepsen-lite-soak/5 jepsen-lite-soak/6

jepsen-compose: ## break the containers of docker-compose.yml and judge what clients saw: make jepsen-compose TIME=2m SEED=7 (docker)
	$(GO) build -o bin/jepsen-lite ./cmd/jepsen-lite
	bin/jepsen-lite run --target compose --time $(TIME) --seed $(SEED) $(JEPSEN)

# Three fresh deployments of 5 minutes: after some 20,000 entries in a shard snapshots have cut off all its logs, and the search judges alone.
soak-compose: ## a quarter of an hour of it in containers, in three runs; ends with one table (docker)
	$(GO) build -o bin/jepsen-lite ./cmd/jepsen-lite
	@rm -rf jepsen-lite-soak-compose; mkdir jepsen-lite-soak-compose; for n in 1 2 3; do \
		bin/jepsen-lite run --target compose --time $(SOAK_COMPOSE) --seed $$(($(SEED) + n - 1)) --out jepsen-lite-soak-compose/$$n $(JEPSEN) || echo "run $$n: exit code $$?" >&2; \
	done; bin/jepsen-lite sum jepsen-lite-soak-compose/1 jepsen-lite-soak-compose/2 jepsen-lite-soak-compose/3

# Four fresh clusters of five rounds and a bit; few operations, so that the probes wait for the cluster and not for a busy machine.
outages: ## how long each single fault leaves a shard without service, at leaders and followers: 20 strikes of each in 72 minutes
	$(GO) build -o bin/ ./cmd/kvorum ./cmd/jepsen-lite
	@rm -rf jepsen-lite-outages; mkdir jepsen-lite-outages; for n in 1 2 3 4; do \
		bin/jepsen-lite run --nemesis single --time $(OUTAGES) --seed $$(($(SEED) + n - 1)) --rate 60 --clients 12 --kvorum bin/kvorum --out jepsen-lite-outages/$$n $(JEPSEN) || echo "run $$n: exit code $$?" >&2; \
	done; bin/jepsen-lite sum jepsen-lite-outages/1 jepsen-lite-outages/2 jepsen-lite-outages/3 jepsen-lite-outages/4

wasm: ## build and vet cmd/kvorum for GOOS=wasip1, as the simulator runs it
	$(GO) run ./internal/wasmbuild -vet -o bin/kvorum.wasm

bench-floor: ## the two speed floors: kvorum beside a bare raft (puts) and a bare HTTP server (GETs), in turn, and the ratios
	$(GO) run ./internal/benchfloor

bench: ## all benchmarks; BENCH=regexp for some
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

fuzz: ## each fuzz target for FUZZTIME (10s)
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

compose-words: images ## the whole Debian word list through HAProxy into containers while leaders are killed (package wamerican, docker)
	KVORUM_FULL=1 $(GO) test -tags deploy -count 1 -v -timeout 40m -run "^TestCompose\$$/^(up_from_nothing|through_HAProxy|words|down_and_up)\$$" ./jepsen-lite

import-words: ## the whole Debian word list into 3 x 3 processes while leaders are killed (package wamerican)
	KVORUM_FULL=1 $(GO) test -count 1 -v -timeout 30m -run Word ./jepsen-lite

deploy-tests: readable ## HAProxy before real processes, and docker-compose.yml in containers (package haproxy, docker)
	$(GO) test -tags deploy -count 1 -timeout 30m $(TESTFLAGS) -run '^($(DEPLOYED))$$' ./jepsen-lite

images: readable ## the images that docker-compose.yml needs: pulled, or made from Debian packages where no registry is reachable
	@deploy/images/make.sh

nettools: ## the image with which jepsen-lite cuts the network of containers, made from Debian packages
	@deploy/images/nettools.sh

# Files that docker-compose.yml mounts keep their owner and mode in the container, where other users read them.
readable: ## fail if containers could not read what they mount (a clone under umask 077)
	@unreadable=$$(find haproxy deploy/observe ! -perm -004 -o -type d ! -perm -001); if [ -n "$$unreadable" ]; then \
		echo "containers mount these files and run as other users, who may not read them:"; echo "$$unreadable"; \
		echo "let them: chmod -R a+rX haproxy deploy/observe"; exit 1; fi

compose-v2-check: ## docker-compose.yml read and run by docker compose v2, built from its Go module (minutes)
	deploy/compose-v2-check.sh

haproxy-kills: ## 200 kills of leaders while 8 clients write through HAProxy: no write is executed twice (package haproxy)
	KVORUM_KILLS=200 $(GO) test -tags deploy -count 1 -v -timeout 60m -run LeaderChangesThroughHAProxy ./jepsen-lite

clean:
	rm -rf bin
