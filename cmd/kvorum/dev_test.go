package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// devCluster is `kvorum dev` run by this test.
type devCluster struct {
	url  string
	stop func() (stdout, stderr string, code int)
}

// syncBuffer may be read while the program writes.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{} // a hint that text has grown
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.grew <- struct{}{}:
	default:
	}
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startDev waits until the cluster says that it is ready, and how to reach it.
func startDev(t *testing.T, flags ...string) *devCluster {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, stderr := &syncBuffer{grew: make(chan struct{}, 1)}, &syncBuffer{grew: make(chan struct{}, 1)}
	args := append([]string{"dev", "--listen=127.0.0.1:0", "--log-level=error", "--drain-time=1ms", "--heartbeat-timeout=300ms", "--election-timeout=300ms", "--leader-lease-timeout=300ms"}, flags...)
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, strings.NewReader(""), stdout, stderr) }()
	stop := sync.OnceValues(func() (int, error) { cancel(); return <-ended, nil })
	t.Cleanup(func() { _, _ = stop() })
	cluster := &devCluster{stop: func() (string, string, int) {
		code, _ := stop()
		return stdout.String(), stderr.String(), code
	}}
	api := regexp.MustCompile(`API +(http://\S+)`)
	limit := time.After(60 * time.Second)
	for {
		if text := stdout.String(); strings.Contains(text, "Ctrl-C stops it.") {
			cluster.url = api.FindStringSubmatch(text)[1]
			return cluster
		}
		select {
		case <-stdout.grew:
		case code := <-ended:
			t.Fatalf("dev ended with %d\n%s\n%s", code, stdout, stderr)
		case <-limit:
			t.Fatalf("dev did not get ready\n%s\n%s", stdout, stderr)
		}
	}
}

// The whole program against a real cluster: all commands, a stop, and a second start on the same data.
func TestDevCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	folder := filepath.Join(t.TempDir(), "data")
	dev := startDev(t, "--data", folder)
	do := func(want string, code int, args ...string) string {
		t.Helper()
		stdout, stderr, got := kvorum(t, "", append(args, "--endpoint", dev.url)...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%q: exit code %d, want %d\n%s%s\ndoes not contain %q", args, got, code, stdout, stderr, want)
		}
		return stdout
	}
	do("created user:a at revision 1 (shard 1, node s1n", exitOK, "put", "user:a", "Ada")
	do("Ada", exitOK, "get", "user:a", "--direct")
	do("linearizable; ", exitOK, "get", "user:a", "--receipt")
	do("412 precondition-failed", exitNotMatched, "update", "user:b", "Bob")
	do("404 not-found", exitNotMatched, "delete", "user:b")
	do("replaced user:a at revision 2", exitOK, "update", "user:a", "Eve", "--if-revision=1")
	do("412", exitNotMatched, "put", "user:a", "x", "--if-absent")
	do(`created "a//../b/\x00"`, exitOK, "put", "a//../b/\x00", "odd", "--direct")
	do("422 idempotency-key-reused", exitFailed, "put", "twice", "2", "--idempotency-key="+keepKey(t, do))

	words := wordFile(t, 2000)
	do("2000 lines stored", exitOK, "import", "--lines", words, "--progress", filepath.Join(t.TempDir(), "p"))
	do("word-1999\t2000\n", exitOK, "list", "--prefix=word-")
	listing := do(`{"key":"user:a","value":"Eve","revision":2}`, exitOK, "list", "--json", "--limit=100000")
	if n := strings.Count(listing, "\n"); n != 2003 {
		t.Errorf("%d keys are listed, want 2003", n)
	}
	do("3 shards, slot function last-byte", exitOK, "cluster", "status")
	do(`"slot_function": "last-byte"`, exitOK, "cluster", "status", "--json")
	do("leads now", exitOK, "cluster", "transfer-leader", "--shard=2")
	do("shard 2: s2n2: snapshot at index", exitOK, "cluster", "snapshot")
	do("409", exitFailed, "cluster", "transfer-leader", "--shard=1", "--to=nobody")
	if stdout, stderr, code := kvorum(t, "", "health", dev.url+"/v1/health/ready"); code != exitOK {
		t.Error(stdout, stderr)
	}

	stdout, stderr, code := dev.stop()
	if code != exitOK || !strings.Contains(stdout, "The data is kept in "+folder) {
		t.Errorf("dev ended with %d\n%s\n%s", code, stdout, stderr)
	}
	dev = startDev(t, "--data", folder)
	if again := do("", exitOK, "list", "--json", "--limit=100000"); again != listing {
		t.Errorf("after a restart the listing has %d bytes, before %d", len(again), len(listing))
	}
	// Every replica has caught up before the cluster said that it is ready, so a bounded read sees what was there before.
	do("bounded; ", exitOK, "get", "user:a", "--receipt", "--consistency=bounded", "--max-stale=10s")
	dev.stop()
	_, stderr, code = kvorum(t, "", "dev", "--data", folder, "--shards=2", "--listen=127.0.0.1:0")
	if code != exitFailed || !strings.Contains(stderr, "--shards 3 --replicas 3") {
		t.Errorf("other shards on the same data: %d %s", code, stderr)
	}
}

// keepKey writes under an idempotency key and gives the key.
func keepKey(t *testing.T, do func(want string, code int, args ...string) string) string {
	t.Helper()
	do("created twice", exitOK, "put", "twice", "1", "--idempotency-key=key-1")
	do("created twice at revision 1", exitOK, "put", "twice", "1", "--idempotency-key=key-1")
	return "key-1"
}

// Without --data the folder is a temporary one, and gone at the end.
func TestDevTemporaryData(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	dev := startDev(t, "--shards=1", "--replicas=1")
	stdout, stderr, code := dev.stop()
	folder := regexp.MustCompile(`data +(\S+) \(temporary`).FindStringSubmatch(stdout)
	if code != exitOK || folder == nil || !strings.Contains(stdout, "The temporary data is removed.") {
		t.Fatalf("dev ended with %d\n%s\n%s", code, stdout, stderr)
	}
	if _, err := os.Stat(folder[1]); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", folder[1], err)
	}
}
