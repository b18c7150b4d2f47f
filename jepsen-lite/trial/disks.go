package trial

import (
	"errors"
	"path/filepath"
	"slices"

	"github.com/kvorum/kvorum/jepsen-lite/cluster"
	"github.com/kvorum/kvorum/jepsen-lite/faultfs"
	"github.com/kvorum/kvorum/jepsen-lite/nemesis"
)

// dataIn is a node's data folder within its file system: that the folder's own name is durable must be seen, too.
const dataIn = "data"

// mount puts a file system that can be broken under the data of each node that may be struck, and of no other: it costs speed.
func (p *processes) mount(c Config, data string) error {
	p.disks = map[string]*faultfs.Mount{}
	for _, s := range c.Schedule.Strikes {
		if !slices.Contains(c.needsOf(s.Nemesis), nemesis.FUSE) {
			continue
		}
		for _, n := range p.Shard(uint32(s.Shard)) {
			if p.disks[n.Name] != nil {
				continue
			}
			m, err := faultfs.New(filepath.Join(data, n.Name), filepath.Join(data, n.Name+"-disk"))
			if err != nil {
				return errors.Join(err, p.unmount())
			}
			p.disks[n.Name] = m
			n.Data = filepath.Join(m.Folder, dataIn)
			n.SetFlags("--data=" + n.Data)
		}
	}
	return nil
}

// unmount leaves the data in plain folders, where n.Data then says. The nodes must have ended.
func (p *processes) unmount() error {
	var errs []error
	for _, n := range p.nodes() {
		if m := p.disks[n.Name]; m != nil {
			errs = append(errs, m.Close())
			n.Data = filepath.Join(m.Durable(), dataIn)
		}
	}
	return errors.Join(errs...)
}

func (p *processes) nodes() []*cluster.Node {
	if p.Cluster == nil {
		return nil
	}
	return p.Nodes
}
