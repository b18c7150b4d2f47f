package linearizability

import (
	"context"
	"fmt"
	"testing"
)

type benchCase struct{ operations, keys, clients, loss int }

func (c benchCase) String() string {
	return fmt.Sprintf("operations=%d/keys=%d/clients=%d/loss=%d", c.operations, c.keys, c.clients, c.loss)
}

func (c benchCase) world() *world {
	return runWorld(worldConfig{seed: 1, clients: c.clients, keys: c.keys, operations: c.operations, reads: 50, loss: c.loss, idempotent: 50, receipts: true})
}

// BenchmarkSearch: how long a verdict takes without a commit log. One of six operations is a delete or found nothing; it is
// those that a search has to guess, the others are told their revision.
func BenchmarkSearch(b *testing.B) {
	for _, c := range []benchCase{{10_000, 16, 8, 0}, {10_000, 16, 32, 0}, {10_000, 16, 32, 5}, {100_000, 64, 32, 2}, {2_000, 1, 32, 0}} {
		w := c.world()
		b.Run(c.String(), func(b *testing.B) {
			for b.Loop() {
				if v := Check(context.Background(), w.history, Options{}).Verdict; v != Linearizable {
					b.Fatal(v)
				}
			}
		})
	}
}

// BenchmarkReplay: the second method by itself.
func BenchmarkReplay(b *testing.B) {
	for _, c := range []benchCase{{10_000, 16, 32, 5}, {2_000, 1, 32, 5}, {100_000, 1, 32, 5}} {
		w := c.world()
		b.Run(c.String(), func(b *testing.B) {
			for b.Loop() {
				var r Report
				byKey := r.split(w.history)
				attach(byKey, w.commits)
				for _, p := range byKey {
					if v, why, _ := Kvorum.replay(p); v != Linearizable {
						b.Fatal(v, why)
					}
				}
			}
		})
	}
}
