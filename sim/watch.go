package sim

import (
	"errors"
	"fmt"
	"maps"

	"github.com/kvorum/kvorum/sim/audit"
	"github.com/kvorum/kvorum/sim/tap"
)

// watch is the oracles on the wire and on the disks.
type watch struct {
	world  *World
	tap    *tap.Tap
	images map[*Node]*audit.Image // durable, as of the last power cut
	kept   []shownDigest          // of snapshots on disks
	lives  func(node string)      // told of each life, if set
}

func newWatch(w *World) *watch {
	x := &watch{world: w, images: map[*Node]*audit.Image{}}
	voters := map[uint32][]string{}
	for _, n := range w.nodes {
		voters[uint32(n.Shard)] = append(voters[uint32(n.Shard)], n.Name)
	}
	x.tap = tap.New(tap.Config{Fail: w.fail, Voters: voters, PeerPort: peerPort, Message: w.nemesis.message, Durable: func(node string) (audit.Image, error) {
		return w.node(node).image()
	}})
	w.network.Tap = x.tap
	return x
}

// image reads what a power cut now would leave of the data folder.
func (n *Node) image() (audit.Image, error) {
	return audit.Read(audit.Folder(n.disk.Durable(), dataFolder))
}

// reach is what happened, the world's probes and the wire's.
func (x *watch) reach() map[string]int {
	all := maps.Clone(x.world.reached)
	for id, n := range x.tap.Reach() {
		all[id] += n
	}
	return all
}

// started is told of a new life. What a damaged disk forgot binds nobody.
func (x *watch) started(n *Node) {
	x.tap.Started(uint32(n.Shard), n.Name)
	x.tap.Outcast(uint32(n.Shard), n.Name, n.damage == damageWiped || n.swapped)
	if x.lives != nil {
		x.lives(n.Name)
	}
	if n.damaged() {
		x.tap.Forget(uint32(n.Shard), n.Name)
		delete(x.images, n)
	}
}

// crashed looks at the disk of a node that lost its power. Damage on purpose is not looked at: the node itself must.
func (x *watch) crashed(n *Node) {
	if n.damaged() {
		delete(x.images, n)
		x.tap.Forget(uint32(n.Shard), n.Name)
		return
	}
	now, err := n.image()
	if corrupt := (*audit.Corrupt)(nil); errors.As(err, &corrupt) {
		x.world.fail("disk-readable", fmt.Sprintf("%s after a power cut: %v", n.Name, corrupt))
		return
	}
	x.tap.Audit(uint32(n.Shard), n.Name, now)
	var before audit.Image
	if old := x.images[n]; old != nil {
		before = *old
	}
	for _, p := range audit.Check(before, now) {
		x.world.fail(p.Oracle, n.Name+": "+p.Detail)
	}
	x.keep(n, &now)
	x.images[n] = &now
}
