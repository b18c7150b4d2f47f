package controller

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestG7SuccessorIsSummoned: a leader whose disk stalls or fails tells the fit one of the others to take over. With timeouts of a
// minute nobody finds out by its silence.
func TestG7SuccessorIsSummoned(t *testing.T) {
	for name, breakDisk := range map[string]func(l *gate){
		"stalled": func(l *gate) { l.hold() },
		"failed":  func(l *gate) { l.fail(syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) })
			s.electFirst(0)
			s.allReady()
			s.mustPut("before", "1")
			s.nodes[1].StartDraining() // unfit
			breakDisk(s.logs[0])
			lost := s.nodes[0].Start(put("lost", "1"))
			eventually(t, "the fit node to lead", func() bool { return s.nodes[2].Leading() })
			s.mustPutAt(2, "meanwhile", "2")
			if value, err := s.get(2, "before", wire.Linearizable); err != nil || value != "1" {
				t.Fatalf("read %q, %v", value, err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if _, err := lost.Wait(ctx); err == nil || err.(*Error).Outcome() != wire.Unknown {
				t.Errorf("the write that met the disk ended as %v, want unknown", err)
			}
			s.logs[0].release()
			s.logs[0].fail(nil)
			s.allSee("meanwhile", "2")
		})
	}
}
