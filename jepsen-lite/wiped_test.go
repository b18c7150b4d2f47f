package jepsenlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
)

// TestWipedDiskStaysOut takes a node's data away and starts it again under its old id. It must not take part: it has
// forgotten votes it gave and entries it acknowledged (guard G11).
func TestWipedDiskStaysOut(t *testing.T) {
	c := startCluster(t, 1, 3)
	ctx := within(t, time.Minute)
	check(t, putUntilAcked(ctx, c.Nodes[0], "k", "v"))
	leader, err := c.Leader(ctx, 0)
	check(t, err)
	for _, victim := range []*cluster.Node{c.Others(leader)[0], leader} {
		check(t, victim.Kill())
		kept := victim.Data + ".kept"
		check(t, os.Rename(victim.Data, kept))
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		code, output, err := victim.Run(limited)
		cancel()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		last := lastLine(output)
		if code == 0 || !strings.Contains(last, "wiped") || !strings.Contains(last, "new id") {
			t.Errorf("exit code %d: %s", code, output)
		}
		t.Logf("exit code %d: %s", code, last)
		check(t, errors.Join(os.RemoveAll(victim.Data), os.Rename(kept, victim.Data)))
		check(t, victim.Start()) // with its own disk it is welcome
		check(t, caughtUp(ctx, c, victim))
	}
	reply, err := c.Nodes[0].Get(ctx, "k")
	check(t, err)
	if string(reply.Body) != "v" {
		t.Errorf("read %s", reply)
	}
}

// TestWrongPeerAddress starts a new shard whose member list names an address at which somebody else answers.
func TestWrongPeerAddress(t *testing.T) {
	c := newCluster(t, 2, 2)
	ctx := within(t, time.Minute)
	s0n0, s0n1, s1n0, s1n1 := c.Nodes[0], c.Nodes[1], c.Nodes[2], c.Nodes[3]
	check(t, errors.Join(s1n0.Start(), s1n1.Start()))
	check(t, s1n0.WaitReady(ctx))
	members := fmt.Sprintf("--members=s0n0=%s/%s,s0n1=%s/%s", s0n0.Peer, s0n0.API, s1n0.Peer, s0n1.API)
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	code, output, err := s0n0.Run(limited, members)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	last := lastLine(output)
	for _, want := range []string{"s0n1", "s1n0", "--members"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last line lacks %q: %s", want, last)
		}
	}
	if code == 0 {
		t.Error("exit code 0")
	}
	t.Logf("exit code %d: %s", code, last)
	check(t, c.Start(ctx)) // with the right list the folder that it made is as good as new
}

// unreadable starts a node as a user who may not read its data folder.
func unreadable(ctx context.Context, t *testing.T, n *cluster.Node) {
	before := hashTree(t, n.Data)
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	const nobody = 65534
	code, output, err := n.RunAs(limited, &syscall.Credential{Uid: nobody, Gid: nobody})
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	last := lastLine(output)
	if code == 0 || !strings.Contains(last, n.Data) || !strings.Contains(last, "permission denied") {
		t.Errorf("exit code %d: %s", code, output)
	}
	if after := hashTree(t, n.Data); after != before {
		t.Errorf("the folder has changed:\n%s\nbefore:\n%s", after, before)
	}
	t.Logf("exit code %d: %s", code, last)
}
