package sim

import (
	"strings"
	"testing"

	"github.com/kvorum/kvorum/node"
)

// TestFailureBeyondRaftIsLabelled: a failure under a disk that lies is not the program's, and a reader of the page must see that.
func TestFailureBeyondRaftIsLabelled(t *testing.T) {
	failed := &Result{Verdict: Failed, Failures: []Failure{{Oracle: "digest"}, {Oracle: "digest"}, {Oracle: "replay"}}}
	if got := failed.Says(); got != "failed: digest, replay" {
		t.Errorf("%q", got)
	}
	failed.Beyond = []string{"lying-sync"}
	if got := failed.Says(); !strings.HasPrefix(got, "failed: digest, replay") || !strings.Contains(got, "beyond what Raft promises are lying-sync") {
		t.Errorf("%q", got)
	}
}

// TestHandlersPanicIsHeard: the node's words for it are the ones that the oracle listens for.
func TestHandlersPanicIsHeard(t *testing.T) {
	if handlerPanicked != node.HandlerPanicked {
		t.Errorf("nodes say %q, the oracle waits for %q", node.HandlerPanicked, handlerPanicked)
	}
}
