package linearizability

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkCheck: how long a verdict takes. The hot key is what a search without the order of the revisions can't decide.
func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct{ operations, keys, clients, loss int }{
		{10_000, 16, 8, 0}, {10_000, 16, 32, 0}, {10_000, 16, 32, 5}, {100_000, 64, 32, 2}, {2_000, 1, 32, 0}, {2_000, 1, 32, 5}, {10_000, 1, 32, 2},
	} {
		w := runWorld(worldConfig{seed: 1, clients: c.clients, keys: c.keys, operations: c.operations, reads: 50, loss: c.loss, idempotent: 50, receipts: true})
		for _, method := range []string{"search", "both"} {
			b.Run(fmt.Sprintf("operations=%d/keys=%d/clients=%d/loss=%d/%s", c.operations, c.keys, c.clients, c.loss, method), func(b *testing.B) {
				opt := Options{}
				if method == "both" {
					opt.Commits = w.commits
				}
				for b.Loop() {
					if v := Check(context.Background(), w.history, opt).Verdict; v != Linearizable {
						b.Fatal(v)
					}
				}
			})
		}
	}
}
