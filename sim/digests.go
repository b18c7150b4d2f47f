package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/audit"
	"github.com/kvorum/kvorum/store"
	"github.com/kvorum/kvorum/wire"
)

// digestsEvery is how often the nodes are asked for their digests while they live: a state that is wrong for a while, until a
// snapshot repairs it, shows no other way unless a client reads it then. Each time costs a machine.
const digestsEvery = 10 * time.Second

// watchDigests asks the nodes, as long as the faults last, what they have applied and its digest.
func (w *World) watchDigests() {
	w.nemesis.repeat(func() time.Duration { return digestsEvery }, func() {
		if w.nemesis.over {
			return
		}
		c := w.startClient(w.crowd, w.endpoints(w.nodes), "-errand", "status", "-for", "5s")
		w.timeline.After(digestsEvery/2, func() {
			c.machine.Kill()
			w.showDigests(c)
		})
	})
}

// showDigests takes in what the nodes said of themselves. A node is asked through others, which may give what it said late, but
// never another digest for an index.
func (w *World) showDigests(c *client) (wire.ClusterStatus, error) {
	var status wire.ClusterStatus
	if len(c.replies) == 0 {
		return status, fmt.Errorf("no node tells the cluster's status: %s", c.errors.String())
	}
	if err := json.Unmarshal(c.replies[0], &status); err != nil {
		return status, err
	}
	for _, shard := range status.Shards {
		for _, r := range shard.Replicas {
			if n := w.node(r.ID); r.Status != nil && n != nil && !n.lost() {
				w.shown = append(w.shown, shownDigest{r.ID, int(shard.Shard), r.Status.AppliedIndex, r.Status.Digest})
			}
		}
	}
	return status, nil
}

// keep takes in what the snapshots on a disk hold, each once.
func (x *watch) keep(n *Node, image *audit.Image) {
	for _, s := range image.Snapshots {
		name := n.Name + "'s snapshot " + s.ID
		if !s.Good || slices.ContainsFunc(x.kept, func(k shownDigest) bool { return k.who == name }) {
			continue
		}
		m := store.New()
		if err := m.Restore(bytes.NewReader(s.State)); err != nil {
			x.world.fail("disk-snapshot", fmt.Sprintf("%s has the checksum of its description and can't be restored: %v", name, err))
			continue
		}
		x.kept = append(x.kept, shownDigest{name, n.Shard, s.Index, m.View().Digest().String()})
	}
}

// snapshots of a shard: those that were sent as a whole, and those that lay on a disk when its power was cut.
func (x *watch) snapshots(shard int) (list []shownDigest) {
	for _, s := range x.tap.Snapshots(uint32(shard)) {
		list = append(list, shownDigest{"a snapshot that was sent", shard, s.Index, s.Digest})
	}
	return append(list, x.kept...)
}
