//go:build unix

package node

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/replica/controller"
	"github.com/kvorum/kvorum/store"
)

// The speed floor of reads: linearizable GETs over HTTP at the leader of a real shard, 64 connections, against a bare
// gorilla/mux server that answers from a map. Compare the two within one run: make bench-floor.
const floorConnections = 64

func BenchmarkFloorGet(b *testing.B) {
	b.Run("kvorum", func(b *testing.B) {
		collectAsServe(b)
		d, err := OpenDev(b.Context(), DevConfig{Listen: "127.0.0.1:0", DataDir: b.TempDir(), Shards: 1, Replicas: 3, SlotFunction: store.LastByte, Tuning: controller.DefaultTuning()})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { closeDev(b, d) })
		waitReady(b, d)
		if status, _, body := call(b, d, "PUT", "/v1/kv/key", "value"); status != 201 {
			b.Fatal(status, body)
		}
		for _, n := range d.Nodes {
			if n.Controller().Leading() {
				getFrom(b, n.APIAddress())
				return
			}
		}
		b.Fatal("no leader")
	})
	// Bare is bare: Go's own settings. Beside it the same with the garbage collector set as kvorum serve sets it.
	b.Run("bare-mux", getFromBareMux)
	b.Run("bare-mux-collector", func(b *testing.B) {
		collectAsServe(b)
		getFromBareMux(b)
	})
}

// collectAsServe sets the garbage collector as kvorum serve does, for one benchmark.
func collectAsServe(b *testing.B) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	b.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	TuneCollector(0)
}

func getFromBareMux(b *testing.B) {
	var mu sync.RWMutex
	values := map[string][]byte{"key": []byte("value")}
	routes := mux.NewRouter().UseEncodedPath().SkipClean(true)
	routes.HandleFunc("/v1/kv/{key:.*}", func(w http.ResponseWriter, r *http.Request) {
		mu.RLock()
		value := values[mux.Vars(r)["key"]]
		mu.RUnlock()
		w.Header().Set("Content-Length", strconv.Itoa(len(value)))
		_, _ = w.Write(value)
	}).Methods(http.MethodGet)
	l, err := network.Listen(b.Context(), "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: routes}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	getFrom(b, l.Addr().String())
}

// getFrom does b.N GETs over floorConnections keep-alive connections, with a client that costs next to nothing.
func getFrom(b *testing.B, address string) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients sync.WaitGroup
	before := processorTime(b)
	b.ResetTimer()
	for range floorConnections {
		clients.Go(func() {
			conn, err := network.Dial(b.Context(), address)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for left.Add(-1) >= 0 {
				if err := rawGet(conn, reader); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "GET/s")
	used := processorTime(b) - before
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(used.Seconds()/b.Elapsed().Seconds(), "cores")
}

// processorTime is what this process has used so far, the client's side of the benchmark included.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

var rawRequest = []byte("GET /v1/kv/key HTTP/1.1\r\nHost: bench\r\n\r\n")

func rawGet(conn net.Conn, reader *bufio.Reader) error {
	if _, err := conn.Write(rawRequest); err != nil {
		return err
	}
	length := 0
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if rest, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(rest))); err != nil {
				return err
			}
		}
	}
	_, err := reader.Discard(length)
	return err
}
