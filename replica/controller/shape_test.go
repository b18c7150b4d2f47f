package controller

import (
	"strings"
	"testing"

	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// TestWrongShapeAtTheFirstStart: a node whose first start had another --shard-count ends before anyone has learnt anything of
// it, and is good as new with the right one. Whoever met it meanwhile ended as well: nobody can tell who is wrong.
func TestWrongShapeAtTheFirstStart(t *testing.T) {
	for name, change := range map[string]func(cfg *Config){
		"shard count":   func(cfg *Config) { cfg.ShardCount = 2 },
		"slot function": func(cfg *Config) { cfg.SlotFunction = store.Hash },
	} {
		t.Run(name, func(t *testing.T) {
			s := newUnstartedShard(t, 3)
			s.change = func(i int, cfg *Config) {
				cfg.ShardCount = 3
				if i == 2 {
					change(cfg)
				}
			}
			wrong := s.config(2)
			for i := range s.nodes {
				s.start(i)
			}
			text := fatalWithin(t, s.nodes[2])
			for _, part := range []string{"3 shards, last-byte", s.nodes[2].PeerIdentity().Shape, "--shard-count", "--slot-function"} {
				if !strings.Contains(text, part) {
					t.Errorf("%q does not say %q", text, part)
				}
			}
			if known := s.nodes[2].folder.identity().Peers; len(known) != 0 {
				t.Errorf("the wrong node has learnt %v", known)
			}
			for i := range 2 {
				if disk := s.nodes[i].folder.identity().Peers["n2"]; disk != "" {
					t.Errorf("n%d has learnt the disk of n2 with its wrong shape", i)
				}
			}
			s.change = func(_ int, cfg *Config) { cfg.ShardCount = 3 }
			for i := range s.nodes {
				s.stop(i)
			}
			for i := range s.nodes {
				s.start(i)
			}
			s.mustPut("c", "formed") // last byte 99: of shard 0
			eventually(t, "n2 to serve", func() bool {
				value, err := s.get(2, "c", wire.Linearizable)
				return err == nil && value == "formed"
			})
			s.stop(2)
			s.change = func(_ int, cfg *Config) { cfg.ShardCount, cfg.SlotFunction = wrong.ShardCount, wrong.SlotFunction }
			s.mustRefuse(2, "start it with the flags of the folder") // now they bind
		})
	}
}

// TestNewShapeMeetsAllAgain: members met before the flags changed agreed to the old ones. Their disks stay known.
func TestNewShapeMeetsAllAgain(t *testing.T) {
	path := t.TempDir()
	id := folderIdentity{Cluster: "test", Node: "n0", ShardCount: 3, SlotFunction: store.LastByte.String()}
	folder, err := openDataFolder(path, id)
	must(t, err)
	_, err = folder.learn("n1", "disk-1")
	must(t, err)

	id.ShardCount = 2
	before := hashFolder(t, path)
	folder, err = openDataFolder(path, id)
	must(t, err)
	if hashFolder(t, path) != before {
		t.Fatal("the folder was changed before anything else in it was checked")
	}
	must(t, folder.keep())
	folder, err = openDataFolder(path, id) // after a restart
	must(t, err)
	c := &Controller{folder: folder, cfg: Config{Node: "n0", Members: testMembers(2)}}
	if missing := c.notMet(); len(missing) != 1 {
		t.Fatalf("not met: %v, want n1", missing)
	}
	if same, err := folder.learn("n1", "disk-2"); same || err != nil {
		t.Fatalf("n1 came with another disk: %v, %v", same, err)
	}
	if same, err := folder.learn("n1", "disk-1"); !same || err != nil || len(c.notMet()) != 0 {
		t.Fatalf("n1 was met again: %v, %v, not met: %v", same, err, c.notMet())
	}
	folder, err = openDataFolder(path, id)
	must(t, err)
	if got := folder.identity(); len(got.MeetAgain) != 0 || got.ShardCount != 2 || got.Peers["n1"] != "disk-1" {
		t.Fatalf("%+v", got)
	}
}
