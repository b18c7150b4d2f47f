package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kvorum-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs the program as another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if binary, err = cluster.Build(context.Background(), dir, os.Getenv("KVORUM_RACE") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// within gives the test's context with a time limit: every wait in a test ends.
func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// runFolder makes the folder of a run. It stays if the test fails.
func runFolder(t *testing.T) string {
	parent := os.Getenv("KVORUM_RUNS")
	dir, err := os.MkdirTemp(parent, strings.ReplaceAll(t.Name(), "/", "-")+"-")
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("data, logs and histories are kept in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// newCluster makes a cluster that starts nothing yet. At the end of the test every process is killed, a node that ended
// unasked or panicked fails the test, and the logs of a failed test are shown.
func newCluster(t *testing.T, shards, replicas int, flags ...string) *cluster.Cluster {
	t.Helper()
	c, err := cluster.New(cluster.Options{
		Binary: binary, Dir: runFolder(t), Shards: shards, Replicas: replicas, Flags: append(cluster.FastRaft(), flags...),
	})
	check(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		alarms, err := c.Alarms()
		if err != nil {
			t.Error(err)
		}
		for _, alarm := range alarms {
			t.Error(alarm)
		}
		if t.Failed() {
			t.Log(c.LogTails(40))
		}
	})
	return c
}

// startCluster is newCluster, started and ready.
func startCluster(t *testing.T, shards, replicas int, flags ...string) *cluster.Cluster {
	t.Helper()
	c := newCluster(t, shards, replicas, flags...)
	check(t, c.Start(within(t, 60*time.Second)))
	return c
}

// newDisk gives a small file system below the cluster's run folder, or skips the test with the reason.
func newDisk(t *testing.T, c *cluster.Cluster, size int64) *cluster.Disk {
	t.Helper()
	d, err := cluster.NewDisk(filepath.Dir(c.Nodes[0].LogFile), size)
	if errors.Is(err, cluster.ErrNoDisk) {
		skip(t, err.Error())
	}
	check(t, err)
	t.Cleanup(func() {
		_ = d.Thaw(context.Background()) // fails if it is not frozen; a process that waits for a frozen disk can't even be killed
		if err := errors.Join(c.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// skip skips with a reason; in CI, where everything must run, it fails.
func skip(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("KVORUM_CI") == "1" {
		t.Fatalf("KVORUM_CI=1 and %s", reason)
	}
	t.Skip(reason)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
