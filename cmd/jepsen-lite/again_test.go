//go:build again

// What only shows when a request happens to be under way as a leader dies takes luck to be seen, more of it on a busy machine: not
// for every change of the program, but make jepsen-again.

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kvorum/kvorum/internal/rig"
	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// holdAndKill are flags for mix-hold-kill: many writes are under way, a leader stays one while its followers stand still, also on a
// busy machine, and another is elected before the clients lose patience.
func holdAndKill(more ...string) []string {
	return append([]string{"--nemesis", "mix-hold-kill", "--clients", "60", "--rate", "600", "--time", "25s",
		"--serve-flag=--heartbeat-timeout=600ms", "--serve-flag=--election-timeout=600ms", "--serve-flag=--leader-lease-timeout=600ms"}, more...)
}

// TestRouterThatSendsAgain: a node that forwards a write a second time when the first leader has died under it is found out, since
// the first one is executed too. A plain kill of leaders leaves too few such writes.
func TestRouterThatSendsAgain(t *testing.T) {
	wantCaught(t, holdAndKill("--through", "nodes", "--kvorum", broken(t, "outcome-router-sends-again"))...)
}

// TestProxyThatSendsAgain: the program is healthy, HAProxy is told to send writes again that it had sent.
func TestProxyThatSendsAgain(t *testing.T) {
	needHAProxy(t)
	wantCaught(t, holdAndKill("--through", "haproxy", "--haproxy", sendsAgain(t))...)
}

const (
	// seeds that may miss a bug which takes luck to be hit: which requests are under way when a leader dies is in no seed.
	seeds = 3
	// othersNeed is what must be left of go test's time limit before one more is tried: the tests after this one need it.
	othersNeed = 5 * time.Minute
)

// wantCaught runs with one seed after the other until the bug is found out.
func wantCaught(t *testing.T, args ...string) {
	t.Helper()
	for seed := 1; seed <= seeds; seed++ {
		code, l, _ := tryWith(t, append(args, "--seed", strconv.Itoa(seed))...)
		f := l.Nemeses["mix-hold-kill"]
		if code == exitViolation && l.Verdict == "violation" && f.Fired > 0 && f.Fired == f.Proved && l.Caught.Seconds > 0 && l.Caught.By != "" {
			return
		}
		t.Logf("seed %d: code %d, %s, mix-hold-kill %+v, caught %+v", seed, code, l.Verdict, f, l.Caught)
		if deadline, limited := t.Deadline(); limited && time.Until(deadline) < othersNeed {
			t.Fatalf("not caught with %d of %d seeds; no time for more", seed, seeds)
		}
	}
	t.Errorf("not caught with any of %d seeds", seeds)
}

// sendsAgain is HAProxy's configuration with what must never be in it.
func sendsAgain(t *testing.T) (folder string) {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, "haproxy"))); err != nil {
		t.Fatal(err)
	}
	if err := cluster.SendsAgain(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}
