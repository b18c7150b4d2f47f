package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// parseServe gives the command as kong reads it.
func parseServe(t *testing.T, args ...string) *serveCmd {
	t.Helper()
	var c cli
	parser, err := newParser(&c, &bytes.Buffer{}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return &c.Serve
}

// What the flags, the environment and the file say must reach the node's configuration.
func TestServeConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kvorum.yaml")
	yaml := "cluster: prod\nshard-count: 3\nseeds: [a:1, b:2]\nsnapshot_threshold: 50\nmemory-quota: 2GiB\nheartbeat-timeout: 500ms\nleader-lease-timeout: 500ms\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KVORUM_SHARD", "2")
	t.Setenv("KVORUM_TRAILING_LOGS", "99")
	t.Setenv("KVORUM_SNAPSHOT_THRESHOLD", "60")
	c := parseServe(t, "--config", file, "--node=s2n0", "--members=s2n0=h0:7/h0:8,s2n1=h1:7/h1:8", "--data=/d", "--slot-function=hash", "--max-value-bytes=2MiB", "--drain-time=3s", "--leader-wait=4s", "--http-idle-timeout=5m")
	config, err := c.config(&bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if config.Cluster != "prod" || config.Shard != 2 || config.Node != "s2n0" || config.ShardCount != 3 || config.SlotFunction != store.Hash || config.DataDir != "/d" {
		t.Errorf("identity: %+v", config)
	}
	if len(config.Members) != 2 || config.Members[1] != (wire.Member{ID: "s2n1", PeerAddress: "h1:7", APIAddress: "h1:8"}) || strings.Join(config.Seeds, " ") != "a:1 b:2" {
		t.Errorf("members %v, seeds %q", config.Members, config.Seeds)
	}
	if config.MaxValueBytes != 2<<20 || config.MemoryQuota != 2<<30 || config.IdempotencyBytes != 64<<20 || config.DrainTime != 3*time.Second || config.RequestTimeout != 10*time.Second {
		t.Errorf("limits: %+v", config)
	}
	if timing := config.Timing; timing.LeaderWait != 4*time.Second || timing.IdleTimeout != 5*time.Minute || timing.ReadAttempt != 3*time.Second || timing.ReadHeaderTimeout != 10*time.Second {
		t.Errorf("timing: %+v", timing)
	}
	if tuning := config.Tuning; tuning.HeartbeatTimeout != 500*time.Millisecond || tuning.TrailingLogs != 99 || tuning.SnapshotThreshold != 60 || tuning.BatchOperations != 512 {
		t.Errorf("tuning: %+v", tuning)
	}
}

// Two values for one flag on the way to a list: the command line replaces, it does not add.
func TestEndpointsReplace(t *testing.T) {
	t.Setenv("KVORUM_ENDPOINT", "a:1,b:2")
	for args, want := range map[string]string{"get k": "a:1 b:2", "get k --endpoint c:3": "c:3", "get k --endpoint c:3 --endpoint d:4": "c:3 d:4"} {
		var c cli
		parser, err := newParser(&c, &bytes.Buffer{}, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.Get.Endpoint, " "); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
}
