package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestG14FarBehindIsBroughtUp: a follower whose pipeline stood still while the others went on gets what it lacks at once, though
// nothing more is written. Raft alone sends it one message a commit timeout: here that would be more than a minute.
func TestG14FarBehindIsBroughtUp(t *testing.T) {
	s := newLinkedShard(t, 3, func(_ int, cfg *Config) {
		patient(cfg)
		cfg.Tuning.MaxAppendEntries = 1
		cfg.Tuning.CommitTimeout = time.Second
	})
	s.electFirst(0)
	s.allReady()
	s.mustPutAt(0, "k", "before")
	s.allSee("k", "before") // and so the pipelines are open

	s.links[0][2].hold(forward)
	for i := range 60 {
		s.mustPutAt(0, "k", fmt.Sprint(i))
	}
	s.links[0][2].release(forward)
	s.allSee("k", "59")
}

func TestMissingAfter(t *testing.T) {
	for _, c := range []struct {
		entries      []uint64
		commit, want uint64
	}{
		{nil, 100, 0}, // a word of the commit index alone: the pipeline is at its end
		{[]uint64{7}, 3, 0},
		{[]uint64{7}, 7, 0},
		{[]uint64{7, 8}, 108, 100},
	} {
		args := &raft.AppendEntriesRequest{LeaderCommitIndex: c.commit}
		for _, index := range c.entries {
			args.Entries = append(args.Entries, &raft.Log{Index: index})
		}
		if got := missingAfter(args); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
