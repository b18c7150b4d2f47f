package controller

import (
	"context"
	"testing"
	"time"
)

// TestStopsBesideFrozenPeers: a node that asks for votes, and is not answered, stops long before its requests time out. (Found by the
// simulator, seed 1700: "raft did not stop in time".)
func TestStopsBesideFrozenPeers(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { cfg.Tuning.RPCTimeout = time.Hour })
	s.electFirst(0)
	s.mustPutAt(0, "k", "v")
	for _, i := range []int{1, 2} { // what node 0 sends arrives, and no reply comes back
		s.links[0][i].hold(back)
		s.links[i][0].hold(forward)
	}
	eventually(t, "a request without an answer", func() bool {
		return s.links[0][1].waiting[back].Load() > 0 && s.links[0][2].waiting[back].Load() > 0
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.nodes[0].Close(ctx); err != nil {
		t.Error(err)
	}
	s.nodes[0] = nil
	for _, i := range []int{1, 2} {
		s.links[0][i].heal()
		s.links[i][0].heal()
	}
}
