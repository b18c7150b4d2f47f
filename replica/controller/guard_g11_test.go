package controller

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

func fatalWithin(t *testing.T, c *Controller) string {
	t.Helper()
	select {
	case err := <-c.Fatal():
		return err.Error()
	case <-time.After(10 * time.Second):
		t.Fatal("the node goes on")
		return ""
	}
}

// wipe empties node i's data folder.
func (s *testShard) wipe(i int) {
	s.t.Helper()
	if err := os.RemoveAll(s.folders[i]); err != nil {
		s.t.Fatal(err)
	}
}

// TestG11WipedNodeIsRefused: a node that lost its folder lost the promises it gave. It may not come back under its old id.
func TestG11WipedNodeIsRefused(t *testing.T) {
	s := newTestShard(t, 3, nil)
	s.leader()
	s.mustPut("k", "v")
	s.stop(2)
	s.wipe(2)
	s.start(2)
	text := fatalWithin(t, s.nodes[2])
	for _, part := range []string{"n2", "wiped or swapped", "bring the old folder back", "new id"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
	if s.nodes[2].raft() != nil {
		t.Error("raft runs on the empty folder")
	}
	s.mustPut("k", "the others go on")
}

// TestG11WipedNodeIsRefusedByAnyone: even a member that was only ever met, never talked raft with, knows the old disk.
func TestG11WipedNodeIsRefusedByAnyone(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) { patient(cfg) }) // nobody campaigns: no raft message is ever sent
	for i := range s.nodes {
		eventually(t, "the shard to be formed", func() bool { return s.nodes[i].raft() != nil })
	}
	for i := range s.nodes {
		s.stop(i)
	}
	s.wipe(0)
	s.start(1)
	s.start(0)
	if text := fatalWithin(t, s.nodes[0]); !strings.Contains(text, "wiped or swapped") {
		t.Fatal(text)
	}
}

// TestG11SameFolderIsFine: a restarted node is no stranger, also under another address.
func TestG11SameFolderIsFine(t *testing.T) {
	s := newTestShard(t, 3, nil)
	s.leader()
	s.mustPut("k", "v")
	for i := range s.nodes {
		s.stop(i)
	}
	for i := range s.nodes {
		l := s.listen("127.0.0.1:0")
		s.members[i].PeerAddress = l.Addr().String()
		l.Close()
	}
	for i := range s.nodes {
		s.start(i)
	}
	for i := range s.nodes {
		eventually(t, "the restarted nodes to be ready", func() bool { return len(s.nodes[i].NotReady()) == 0 })
		if value, err := s.get(i, "k", wire.Linearizable); err != nil || value != "v" {
			t.Fatalf("n%d: %q, %v", i, value, err)
		}
	}
}

// TestG11FormationWaitsForAll: raft starts only once every member's disk is known to all that start it. A restart in
// between changes nothing.
func TestG11FormationWaitsForAll(t *testing.T) {
	s := newUnstartedShard(t, 3)
	s.start(0)
	s.start(1)
	eventually(t, "two of three to have met", func() bool {
		return len(s.nodes[0].notMet()) == 1 && len(s.nodes[1].notMet()) == 1
	})
	disk := s.nodes[0].PeerIdentity().Disk
	s.stop(0)
	s.start(0)
	if got := s.nodes[0].PeerIdentity().Disk; got != disk {
		t.Fatalf("the disk id went from %s to %s", disk, got)
	}
	if reasons := strings.Join(s.nodes[0].NotReady(), ","); !strings.Contains(reasons, "not met yet: n2") {
		t.Fatalf("not ready because of %q: it should name who is missing", reasons)
	}
	for i := range 2 {
		if s.nodes[i].raft() != nil {
			t.Fatalf("n%d started raft without having met n2", i)
		}
		if _, err := s.get(i, "k", wire.Linearizable); err == nil || err.(*Error).Code != wire.CodeNotReady {
			t.Fatalf("n%d answered %v", i, err)
		}
	}
	s.start(2)
	s.mustPut("k", "formed")
	for i := range s.nodes {
		if id := s.nodes[i].folder.identity(); !id.Formed || len(id.Peers) != 2 {
			t.Fatalf("n%d: %+v", i, id)
		}
	}
}
