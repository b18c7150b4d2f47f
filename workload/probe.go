package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kvorum/kvorum/client"
	lin "github.com/kvorum/kvorum/linearizability"
)

// Probe asks at a steady beat whether a shard executes writes.
type Probe struct {
	First     int      // number of the first client; there are as many as keys
	Endpoints []string // each client knows one only: a node that hangs holds up its own puts, and nobody else's
	Keys      []string // each client has one
	Every     time.Duration
	// Limit is what a put may take. A client's turn comes every len(Keys) * Every: that should be a good deal longer, or the beat
	// after one that took all of its time is left out.
	Limit time.Duration
}

// Run begins a put at every beat, whatever became of those before, until ctx ends. Those under way then come to their end, at
// most Limit later. A beat at which its client still waits for the put before is left out.
func (b Probe) Run(ctx context.Context, r Recorder) error {
	beats := make([]chan struct{}, 0, len(b.Keys))
	var lanes sync.WaitGroup
	defer lanes.Wait()
	for i, key := range b.Keys {
		cl, err := client.New(client.Config{Endpoints: []string{b.Endpoints[i%len(b.Endpoints)]}, Timeout: b.Limit, AttemptTimeout: b.Limit})
		if err != nil {
			return fmt.Errorf("workload: %w", err)
		}
		beat := make(chan struct{})
		defer close(beat) // before the Wait above
		beats = append(beats, beat)
		p := &person{Config: Config{OperationTimeout: b.Limit}, number: b.First + i, recorder: r, client: cl}
		lanes.Go(func() {
			defer cl.Close()
			for range beat {
				p.written++
				p.one(&lin.Operation{Key: key, Client: p.number, Kind: lin.Put, Input: lin.Input{Value: fmt.Sprintf("%d-%d", p.number, p.written)}})
			}
		})
	}
	ticker := time.NewTicker(b.Every)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		select {
		case beats[i%len(beats)] <- struct{}{}:
		default:
		}
	}
}
