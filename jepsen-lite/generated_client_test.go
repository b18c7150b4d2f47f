//go:build deploy

package jepsenlite

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/wire"
)

const generatedClient = "testdata/generatedclient"

// TestGeneratedClient: a client that nobody here wrote, generated from the description that a node serves, drives a real cluster
// through every operation of it. What it wrote is then read by requests of our own.
func TestGeneratedClient(t *testing.T) {
	folder := t.TempDir()
	check(t, os.CopyFS(folder, os.DirFS(generatedClient)))
	if out, err := inFolder(t.Context(), folder, "go", "mod", "download").CombinedOutput(); err != nil {
		skip(t, fmt.Sprintf("the generator can't be had: go mod download: %v\n%s", err, out))
	}
	ctx := within(t, 5*time.Minute) // the first time the generator is compiled
	c := startCluster(t, 3, 3, append(calm(), "--leader-wait=1s")...)
	served, err := c.Nodes[0].Do(ctx, http.MethodGet, "/v1/openapi.yaml", nil)
	check(t, err)
	program := generate(ctx, t, folder, served.Body)

	node := "http://" + c.Nodes[0].API
	seen := drive(ctx, t, program, node, "whole")
	follower := c.Others(leaderOf(ctx, t, c, 0))[0] // says 503 to /v1/health/leader, and the leader 200
	for range 2 {
		seen = append(seen, drive(ctx, t, program, "http://"+follower.API, "health")...)
		follower = leaderOf(ctx, t, c, 0)
	}
	readOdd(ctx, t, c)

	leader := leaderOf(ctx, t, c, 1)
	for _, n := range c.Others(leader) {
		check(t, n.Pause(ctx))
	}
	seen = append(seen, drive(ctx, t, program, node, "no-quorum")...)
	for _, n := range c.Others(leader) {
		check(t, n.Resume())
	}
	described(t, seen)
}

func leaderOf(ctx context.Context, t *testing.T, c *cluster.Cluster, shard uint32) *cluster.Node {
	t.Helper()
	n, err := c.Leader(ctx, shard)
	check(t, err)
	return n
}

// generate makes the client and what drives it.
func generate(ctx context.Context, t *testing.T, folder string, description []byte) (program string) {
	t.Helper()
	program = filepath.Join(folder, "drive")
	check(t, os.WriteFile(filepath.Join(folder, "openapi.yaml"), description, 0o600))
	check(t, os.Mkdir(filepath.Join(folder, "kvorum"), 0o755))
	for _, command := range []string{
		"go tool oapi-codegen -generate types,client -package kvorum -o kvorum/client.gen.go openapi.yaml",
		"go vet .",
		"go build -o " + program + " .",
	} {
		words := strings.Fields(command)
		if out, err := inFolder(ctx, folder, words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	return program
}

func inFolder(ctx context.Context, folder, name string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Dir = folder
	return cmd
}

// drive runs one part of the driver and gives its lines: operation, status.
func drive(ctx context.Context, t *testing.T, program, url, part string) (seen []string) {
	t.Helper()
	out, err := exec.CommandContext(ctx, program, url, part).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		seen = append(seen, strings.TrimSpace(line))
		if strings.Contains(line, "wrong:") {
			t.Errorf("%s: %s", part, line)
		}
	}
	if err != nil || len(seen) < 5 {
		t.Errorf("%s: %v, %d replies\n%s", part, err, len(seen), out)
	}
	return seen
}

// readOdd reads what the client wrote under odd keys: it meant the same bytes as we do.
func readOdd(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for i, key := range []string{"odd/ key?a=b&c=d#e%2Fa", "odd//double/../a", "odd\xff\x00+;=,:b", "oddä c"} {
		reply, err := c.Nodes[3].Get(ctx, key)
		check(t, err)
		if want := fmt.Sprintf("odd value %d\x00\xfe", i); reply.Status != 200 || string(reply.Body) != want {
			t.Errorf("%q: %s, want %q", key, reply, want)
		}
	}
}

// described compares what was seen with the description: every operation was carried out, and of its replies all but those that
// need a failure which is not made here.
func described(t *testing.T, seen []string) {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromData([]byte(wire.OpenAPI()))
	check(t, err)
	rare := []string{"400", "429", "500", "503", "504", "507", "default"} // overload, a full disk, a server's bug
	replies, of := 0, 0
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				of++
				if slices.Contains(seen, operation.OperationID+" "+status) {
					replies++
				} else if !slices.Contains(rare, status) && !slices.Contains([]string{"transferLeader 413"}, operation.OperationID+" "+status) {
					t.Errorf("%s %s (%s): reply %s was not seen", method, path, operation.OperationID, status)
				}
			}
		}
	}
	t.Logf("%d requests; %d of %d replies of the description seen", len(seen), replies, of)
	if replies < of/2 {
		t.Errorf("fewer than half")
	}
}
