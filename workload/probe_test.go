package workload

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	lin "github.com/kvorum/kvorum/linearizability"
	"github.com/kvorum/kvorum/wire"
)

// tally counts outcomes, and tells when so many puts were applied.
type tally struct {
	mu      sync.Mutex
	called  int
	ended   map[lin.Outcome]int
	clients map[int]bool // that had one applied
	enough  func()
}

func (t *tally) Called(*lin.Operation) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.called++
	return 0
}

func (t *tally) Returned(_ uint64, o *lin.Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended[o.Outcome]++
	if o.Outcome == lin.Applied {
		t.clients[o.Client] = true
	}
	if t.ended[lin.Applied] == 20 {
		t.enough()
	}
}

// TestProbeIsNotHeldUp: of two endpoints one never answers. Its puts end as unknown when their time is up, and the other's go on
// meanwhile.
func TestProbeIsNotHeldUp(t *testing.T) {
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that a client goes
		<-r.Context().Done()
	}))
	defer hangs.Close()
	serves := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(wire.HeaderOutcome, string(wire.Applied))
		w.Header().Set("ETag", `"1"`)
	}))
	defer serves.Close()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	all := &tally{ended: map[lin.Outcome]int{}, clients: map[int]bool{}, enough: stop}
	probe := Probe{First: 10, Endpoints: []string{hangs.URL, serves.URL}, Keys: []string{"a", "b", "c", "d"}, Every: 5 * time.Millisecond, Limit: 300 * time.Millisecond}
	if err := probe.Run(ctx, all); err != nil {
		t.Fatal(err)
	}
	if all.ended[lin.Applied] < 20 || all.ended[lin.Unknown] > 10 {
		t.Errorf("one waited for the other: %v", all.ended)
	}
	if !all.clients[11] || !all.clients[13] || all.clients[10] || all.clients[12] || all.ended[lin.Unknown] == 0 {
		t.Errorf("applied by clients %v; %v", all.clients, all.ended)
	}
	if sum := all.ended[lin.Applied] + all.ended[lin.Unknown] + all.ended[lin.NotApplied]; sum != all.called {
		t.Errorf("%d puts were begun, %d ended when Run returned", all.called, sum)
	}
}
