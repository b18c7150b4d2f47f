package sim

import (
	"os"
	"strconv"
	"strings"
	"testing"
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

// TestHandlersPanicIsHeard: the node's words for it are the ones that the oracle, and jepsen-lite, listen for.
func TestHandlersPanicIsHeard(t *testing.T) {
	for _, file := range []string{"../node/serverlog.go", "../jepsen-lite/cluster/alarms.go"} {
		source, err := os.ReadFile(file) // to import them would bring all that they need into the module of Wasmtime
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), strconv.Quote(handlerPanicked)) {
			t.Errorf("%s does not say %q, for which the oracle waits", file, handlerPanicked)
		}
	}
}
