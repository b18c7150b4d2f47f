package disk

import (
	"encoding/binary"
	"hash"
	"slices"
	"strings"
)

// Durable returns the files that a power cut now would certainly leave, by path: what an audit looks at.
func (d *Disk) Durable() map[string][]byte {
	files := map[string][]byte{}
	walk(d.root, "", true, func(name string, n *node) {
		if !n.folder {
			files[name] = slices.Clone(n.durable)
		}
	})
	return files
}

// Hash writes all names and bytes to h, the cache's and the platter's.
func (d *Disk) Hash(h hash.Hash) {
	for _, durable := range []bool{false, true} {
		walk(d.root, "", durable, func(name string, n *node) {
			b := n.data
			if durable {
				b = n.durable
			}
			var length [16]byte
			binary.LittleEndian.PutUint64(length[:], uint64(len(name)))
			binary.LittleEndian.PutUint64(length[8:], uint64(len(b)))
			h.Write(length[:])
			h.Write([]byte(name))
			h.Write(b)
		})
	}
}

// walk visits all nodes, sorted by name.
func walk(n *node, name string, durable bool, visit func(string, *node)) {
	visit(strings.TrimPrefix(name, "/"), n)
	if !n.folder {
		return
	}
	names := n.names
	if durable {
		names = n.durableNames
	}
	for _, part := range sortedKeys(names) {
		walk(names[part], name+"/"+part, durable, visit)
	}
}

// Clone copies the platter as a new disk: an old image that may be restored later.
func (d *Disk) Clone() *Disk {
	c := &Disk{Capacity: d.Capacity, Watch: d.Watch, next: d.next}
	c.root = clone(d.root, map[*node]*node{})
	c.used = used(c.root, map[*node]bool{})
	return c
}

func clone(n *node, done map[*node]*node) *node {
	if c, ok := done[n]; ok {
		return c
	}
	c := &node{id: n.id, folder: n.folder, durable: slices.Clone(n.durable), data: slices.Clone(n.durable)}
	done[n] = c
	if n.folder {
		c.names, c.durableNames = map[string]*node{}, map[string]*node{}
		for _, name := range sortedKeys(n.durableNames) {
			child := clone(n.durableNames[name], done)
			c.names[name], c.durableNames[name] = child, child
		}
	}
	return c
}

func sortedKeys(m map[string]*node) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
