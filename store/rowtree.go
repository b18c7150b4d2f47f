package store

import "bytes"

// rowTree is the ordered map of a slot's rows: a B-tree, copied on write by generations. A node of the tree's present
// generation is seen by nobody else and is changed in place; any other is copied first. freeze begins a generation, so a
// node is copied at most once for each published view, however many puts change it meanwhile.
//
// A node is one allocation, with the rows' headers in it and the keys in the rows: the processor and the garbage collector
// follow one pointer for each row. Only the machine changes a tree; what freeze gave is read only.
type rowTree struct {
	root       *rowNode
	rows       int
	generation uint64
	// finger is the leaf of this generation that the last row was put to, nil if there is none: keys that are written
	// together are often neighbours, and then the way down from the root is saved.
	finger *rowNode
}

// Rows in a node; a root, and nodes at the end that keys in ascending order are put to, may have fewer than minRows. Large
// nodes make shallow trees, small ones make less to copy; 15 fill the allocator's class of 384 bytes.
const (
	maxRows = 15
	minRows = maxRows / 2
)

type rowNode struct {
	generation uint64
	count      int // of rows; an inner node has one child more
	rows       [maxRows]row
	children   *[maxRows + 1]*rowNode // nil in a leaf
}

// Len is the number of rows.
func (t *rowTree) Len() int { return t.rows }

// freeze gives the tree as it is now, in O(1).
func (t *rowTree) freeze() rowTree {
	t.finger = nil
	frozen := *t
	t.generation++
	return frozen
}

// get gives the row of key, nil if there is none.
func (t *rowTree) get(key []byte) row {
	for n := t.root; n != nil; {
		i, found := n.search(key)
		if found {
			return n.rows[i]
		}
		if n.children == nil {
			return nil
		}
		n = n.children[i]
	}
	return nil
}

// last gives the row with the greatest key, nil if the tree is empty.
func (t *rowTree) last() row {
	n := t.root
	if n == nil {
		return nil
	}
	for n.children != nil {
		n = n.children[n.count]
	}
	return n.rows[n.count-1]
}

// search gives the place of key among the rows, or the child that it belongs into.
func (n *rowNode) search(key []byte) (i int, found bool) {
	low, high := 0, n.count
	for low < high {
		middle := int(uint(low+high) / 2)
		switch c := bytes.Compare(key, n.rows[middle].key()); {
		case c > 0:
			low = middle + 1
		case c < 0:
			high = middle
		default:
			return middle, true
		}
	}
	return low, false
}

// own makes *p a node of this generation and gives it.
func (t *rowTree) own(p **rowNode) *rowNode {
	if n := *p; n.generation != t.generation {
		c := *n
		c.generation = t.generation
		if n.children != nil {
			children := *n.children
			c.children = &children
		}
		*p = &c
	}
	return *p
}

// place gives where the row of key is kept: nil stands there if it is new. The caller must put a row with this key there
// before it does anything else with the tree.
func (t *rowTree) place(key []byte) *row {
	if n := t.finger; n != nil && n.spans(key) {
		i, found := n.search(key)
		if found {
			return &n.rows[i]
		}
		if n.count < maxRows {
			return t.insert(n, i)
		}
	}
	if t.root == nil {
		t.root = &rowNode{generation: t.generation}
	}
	if n := t.own(&t.root); n.count == maxRows {
		t.root = &rowNode{generation: t.generation, children: &[maxRows + 1]*rowNode{n}}
		t.split(t.root, 0, key)
	}
	for n := t.root; ; {
		i, found := n.search(key)
		if n.children == nil {
			t.finger = n
		}
		if found {
			return &n.rows[i]
		}
		if n.children == nil {
			return t.insert(n, i)
		}
		child := t.own(&n.children[i])
		if child.count == maxRows { // on the way down, so that there is room above for what a split moves up
			t.split(n, i, key)
			continue
		}
		n = child
	}
}

// insert makes room for a row in a leaf of this generation that is not full.
func (t *rowTree) insert(n *rowNode, i int) *row {
	copy(n.rows[i+1:n.count+1], n.rows[i:])
	n.rows[i] = nil
	n.count++
	t.rows++
	return &n.rows[i]
}

// spans reports whether key is not before the first and not behind the last row, so that it belongs to n if n is a leaf.
func (n *rowNode) spans(key []byte) bool {
	return bytes.Compare(key, n.rows[0].key()) >= 0 && bytes.Compare(key, n.rows[n.count-1].key()) <= 0
}

// split divides the full child i of n, both of this generation, because of key. Keys in ascending order leave full nodes
// behind, not half full ones.
func (t *rowTree) split(n *rowNode, i int, key []byte) {
	left := n.children[i]
	middle := minRows
	if bytes.Compare(key, left.rows[maxRows-1].key()) > 0 {
		middle = maxRows - 2
	}
	right := &rowNode{generation: t.generation, count: maxRows - middle - 1}
	copy(right.rows[:], left.rows[middle+1:])
	if left.children != nil {
		right.children = new([maxRows + 1]*rowNode)
		copy(right.children[:], left.children[middle+1:])
		clear(left.children[middle+1:])
	}
	up := left.rows[middle]
	clear(left.rows[middle:])
	left.count = middle

	copy(n.rows[i+1:n.count+1], n.rows[i:])
	copy(n.children[i+2:n.count+2], n.children[i+1:])
	n.rows[i], n.children[i+1] = up, right
	n.count++
}
