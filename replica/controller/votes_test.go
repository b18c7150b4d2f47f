package controller

import (
	"errors"
	"testing"
)

// TestVotesAreAskedForAgain: once for each kept connection that may have died, and once more; not after a success.
func TestVotesAreAskedForAgain(t *testing.T) {
	s := newTestShard(t, 1, nil)
	s.leader()
	transport := s.nodes[0].group.Load().transport
	for failures, want := range map[int]struct {
		asked int
		err   bool
	}{0: {1, false}, 1: {2, false}, keptConnections: {keptConnections + 1, false}, keptConnections + 5: {keptConnections + 1, true}} {
		asked := 0
		err := transport.canvass(func() error {
			if asked++; asked <= failures {
				return errors.New("connection died")
			}
			return nil
		})
		if asked != want.asked || (err != nil) != want.err {
			t.Errorf("%d failures: asked %d times, %v", failures, asked, err)
		}
	}
}
