package store

// rowIter walks over the rows of a tree that doesn't change meanwhile, in ascending order of the keys.
type rowIter struct {
	root *rowNode
	path []rowStep // from the root to where the row is
}

// rowStep is a row of a node, or the child before that row.
type rowStep struct {
	n *rowNode
	i int
}

// iter stands before the first row: call seek.
func (t *rowTree) iter() rowIter { return rowIter{root: t.root} }

// seek goes to the first row whose key is not less than start; false if there is none.
func (it *rowIter) seek(start []byte) bool {
	it.path = it.path[:0]
	for n := it.root; n != nil; {
		i, found := n.search(start)
		it.path = append(it.path, rowStep{n, i})
		if found {
			return true
		}
		if n.children == nil {
			break
		}
		n = n.children[i]
	}
	return it.climb()
}

// next goes to the next row; false if there is none.
func (it *rowIter) next() bool {
	at := &it.path[len(it.path)-1]
	at.i++
	if at.n.children == nil {
		return it.climb()
	}
	for n := at.n.children[at.i]; ; n = n.children[0] {
		it.path = append(it.path, rowStep{n, 0})
		if n.children == nil {
			return true
		}
	}
}

// climb leaves the nodes whose rows are all behind.
func (it *rowIter) climb() bool {
	for len(it.path) > 0 {
		if at := it.path[len(it.path)-1]; at.i < at.n.count {
			return true
		}
		it.path = it.path[:len(it.path)-1]
	}
	return false
}

// row is where the iterator stands, after a seek or next that gave true.
func (it *rowIter) row() row {
	at := it.path[len(it.path)-1]
	return at.n.rows[at.i]
}

// scan calls fn for each row in ascending order of the keys until it gives false.
func (t *rowTree) scan(fn func(row) bool) {
	it := t.iter()
	for more := it.seek(nil); more; more = it.next() {
		if !fn(it.row()) {
			return
		}
	}
}
