package trial

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

// everywhere is a system of which only the ways are known.
type everywhere struct {
	system
	url string
}

func (e everywhere) endpoints() ([]string, bool) { return []string{e.url}, true }

func (e everywhere) ways(uint32) map[string][]string {
	return map[string][]string{ThroughHAProxy: {e.url}}
}

// TestProgressLeavesProbesOut: the writes that are told while the clients work are those that the result counts, which are not the
// probes'.
func TestProgressLeavesProbesOut(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var seen struct {
		sync.Mutex
		clients, probes int
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Lock()
		defer seen.Unlock()
		if strings.Contains(r.URL.Path, "/h0") {
			seen.probes++
		} else if r.Method == http.MethodPut {
			seen.clients++
		}
		if seen.clients >= 20 && seen.probes >= 20 {
			stop()
		}
		w.Header().Set(wire.HeaderOutcome, string(wire.Applied))
		w.Header().Set("ETag", `"1"`)
		if r.Method != http.MethodPut {
			w.WriteHeader(http.StatusNotFound) // of no use for a client, which an empty reply would make ask again
		}
	}))
	defer server.Close()
	rec := newRecorder()
	c := Config{Seed: 1, Shards: 1, Rate: 200, Clients: 4, Through: ThroughHAProxy}
	crowd := newCrowd(c, everywhere{url: server.URL}, rec)
	crowd.run(ctx)
	r := newResult(c)
	r.measure(c, rec.history(), crowd)
	probes := -r.Writes
	for _, o := range rec.history().Operations {
		if acknowledgedWrite(&o) {
			probes++
		}
	}
	if told := int(crowd.written.Load()); told != r.Writes || told == 0 || probes == 0 {
		t.Errorf("told of %d writes; the result has %d, and %d of probes; applied in all: %d", told, r.Writes, probes, r.Operations[lin.Applied])
	}
}
