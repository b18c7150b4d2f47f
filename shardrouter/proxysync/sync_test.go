package proxysync

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kvorum/kvorum/shardrouter"
	"github.com/kvorum/kvorum/wire"
)

// fakeHAProxy knows the few commands that proxysync uses, as HAProxy 2.6 answers them (jepsen-lite asks a real one).
type fakeHAProxy struct {
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex
	pid      int
	path     string
	rows     []string
	prepared []string
	commands []string
	refuse   string // commands with this are answered by it
	file     string // read at each commit, if there is one
	early    string // what was wrong with it
}

func startFake(t *testing.T, mapPath string) (*fakeHAProxy, Socket) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeHAProxy{listener: l, pid: 100, path: mapPath}
	f.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.serve(conn)
		}
	})
	t.Cleanup(func() { l.Close(); f.done.Wait() })
	return f, Socket(path)
}

func (f *fakeHAProxy) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	line = strings.TrimSuffix(line, "\n")
	var payload []string
	if command, with := strings.CutSuffix(line, " <<"); with {
		line = command
		for {
			row, err := in.ReadString('\n')
			if err != nil || row == "\n" {
				break
			}
			payload = append(payload, strings.TrimSuffix(row, "\n"))
		}
	}
	for command := range strings.SplitSeq(line, ";") {
		fmt.Fprintln(conn, f.answer(command, payload))
	}
}

func (f *fakeHAProxy) answer(command string, payload []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, command)
	switch {
	case f.refuse != "" && strings.Contains(command, f.refuse):
		return "No such server."
	case command == "show info":
		return fmt.Sprintf("Name: HAProxy\nPid: %d\nUptime: 0d", f.pid)
	case command == "show map":
		return fmt.Sprintf("# id (file) description\n-1 (%s) pattern loaded from file '%s' used by map", f.path, f.path)
	case command == "show map "+f.path:
		var b strings.Builder
		for i, row := range f.rows {
			fmt.Fprintf(&b, "0x%x %s\n", 1000+i, row)
		}
		return b.String()
	case command == "prepare map "+f.path:
		f.prepared = nil
		return "New version created: 7"
	case command == "add map @7 "+f.path:
		f.prepared = append(f.prepared, payload...)
	case command == "commit map @7 "+f.path:
		f.rows = f.prepared
		if text, err := os.ReadFile(f.file); f.file != "" && (err != nil || !strings.HasSuffix(string(text), "\n"+strings.Join(f.rows, "\n")+"\n")) {
			f.early = fmt.Sprintf("committed %q before the file held it: %v", f.rows[0], err)
		}
	case strings.HasPrefix(command, "set server "):
	default:
		return "Unknown command: '" + command + "'"
	}
	return ""
}

// pushes are the server states that were set, and forgets them.
func (f *fakeHAProxy) pushes() (set []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.commands {
		if state, ok := strings.CutPrefix(c, "set server "); ok {
			set = append(set, state)
		}
	}
	f.commands = nil
	return set
}

// fakeCluster is a table and leaders, both moved by the test.
type fakeCluster struct {
	mu    sync.Mutex
	table wire.Table
	news  chan struct{}
	tell  chan shardrouter.Leader
}

func (c *fakeCluster) Table() (wire.Table, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table, c.news
}

func (c *fakeCluster) WatchLeaders(ctx context.Context, tell func(shardrouter.Leader)) {
	for {
		select {
		case l := <-c.tell:
			tell(l)
		case <-ctx.Done():
			return
		}
	}
}

func tableAt(epoch uint64, shards uint32) wire.Table {
	table := wire.Table{Epoch: epoch, Version: epoch, Slots: make([]uint32, 256), Shards: map[uint32][]wire.Member{1: {{ID: "s1n0"}, {ID: "s1n1"}, {ID: "s1n2"}}}}
	for slot := range table.Slots {
		table.Slots[slot] = uint32(slot) % shards
	}
	return table
}

func (c *fakeCluster) change(table wire.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table = table
	close(c.news)
	c.news = make(chan struct{})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func inStep(t *testing.T, registry *prometheus.Registry) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "kvorum_haproxy_in_step" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("no such metric")
	return 0
}

// TestFollow: the map is swapped when the table or HAProxy differs, the file is written first, leaders are pushed at once and
// again to a new HAProxy.
func TestFollow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slots.map")
	f, socket := startFake(t, "/etc/haproxy/slots.map") // HAProxy may see the file elsewhere
	f.file = file
	cluster := &fakeCluster{table: tableAt(41, 2), news: make(chan struct{}), tell: make(chan shardrouter.Leader)}
	registry := prometheus.NewRegistry()
	s := New(Config{Socket: socket, MapFile: file, Every: 5 * time.Millisecond, Registerer: registry}, cluster)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()

	hasRows := func(table wire.Table) func() bool {
		return func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slices.Equal(f.rows, rows(table))
		}
	}
	eventually(t, "the first map", hasRows(tableAt(41, 2)))
	cluster.change(tableAt(42, 3))
	eventually(t, "the new map", hasRows(tableAt(42, 3)))
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "\n97 s1:42\n") || strings.Count(string(text), "\n") != 257 {
		t.Errorf("the file holds %q, %v", text, err)
	}
	f.mu.Lock()
	f.rows = f.rows[3:]
	if f.early != "" { // a reload in between would bring the old rows back
		t.Error(f.early)
	}
	f.mu.Unlock()
	eventually(t, "the map to be mended", hasRows(tableAt(42, 3)))

	f.pushes()
	cluster.tell <- shardrouter.Leader{Shard: 1, Node: "s1n2", Term: 5}
	want := []string{"kv_s1_w/s1n2 health up", "kv_s1_w/s1n0 health down", "kv_s1_w/s1n1 health down"}
	pushed := func(want ...string) func() bool {
		var got []string
		return func() bool { got = append(got, f.pushes()...); return slices.Equal(got, want) }
	}
	eventually(t, "the leader to be pushed, first up and then down", pushed(want...))
	f.mu.Lock()
	f.pid++
	f.mu.Unlock()
	eventually(t, "the leader to be pushed to the new HAProxy", pushed(want...))
	eventually(t, "the metric to say that all is in step", func() bool { return inStep(t, registry) == 1 })
	f.mu.Lock()
	f.refuse, f.pid = "s1n1", f.pid+1
	f.mu.Unlock()
	eventually(t, "the metric to say that a server is missing", func() bool { return inStep(t, registry) == 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNoHAProxy(t *testing.T) {
	for _, socket := range []Socket{Socket(filepath.Join(t.TempDir(), "none")), "127.0.0.1:1"} {
		cluster := &fakeCluster{table: tableAt(1, 3), news: make(chan struct{})}
		s := New(Config{Socket: socket, MapFile: filepath.Join(t.TempDir(), "slots.map")}, cluster)
		err := s.follow(t.Context(), cluster.table)
		if err == nil || !strings.Contains(err.Error(), "admin socket") {
			t.Errorf("%s: %v", socket, err)
		}
		if _, err := os.Stat(s.cfg.MapFile); err != nil {
			t.Errorf("the file must be written all the same: %v", err)
		}
	}
}

func TestRefusedAndUnknownMap(t *testing.T) {
	f, socket := startFake(t, "/etc/haproxy/other.map")
	cluster := &fakeCluster{table: tableAt(1, 3), news: make(chan struct{})}
	s := New(Config{Socket: socket, MapFile: "slots.map", KeepFile: true}, cluster)
	if err := s.follow(t.Context(), cluster.table); err == nil || !strings.Contains(err.Error(), "0 maps") {
		t.Errorf("unknown map: %v", err)
	}
	f.mu.Lock()
	f.path, f.refuse = "/x/slots.map", "prepare"
	f.mu.Unlock()
	var refused *Refused
	if err := s.follow(t.Context(), cluster.table); !errors.As(err, &refused) {
		t.Errorf("refused: %v", err)
	}
	if _, err := os.Stat("slots.map"); err == nil {
		t.Error("KeepFile, and yet the file was written")
	}
}
