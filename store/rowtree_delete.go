package store

// delete removes the row of key and gives it, nil if there is none: then nothing is copied either.
func (t *rowTree) delete(key []byte) row {
	old := t.get(key)
	if old == nil {
		return nil
	}
	t.finger = nil // its leaf may be merged into another
	t.remove(&t.root, key)
	t.rows--
	if t.root.count == 0 {
		if t.root.children == nil {
			t.root = nil
		} else {
			t.root = t.root.children[0]
		}
	}
	return old
}

// remove takes out the row of key, which is below *p.
func (t *rowTree) remove(p **rowNode, key []byte) {
	n := t.own(p)
	i, found := n.search(key)
	switch {
	case n.children == nil:
		n.cut(i)
		return
	case found:
		n.rows[i] = t.removeLast(&n.children[i])
	default:
		t.remove(&n.children[i], key)
	}
	t.refill(n, i)
}

// removeLast takes out the row with the greatest key below *p and gives it.
func (t *rowTree) removeLast(p **rowNode) row {
	n := t.own(p)
	if n.children == nil {
		r := n.rows[n.count-1]
		n.cut(n.count - 1)
		return r
	}
	r := t.removeLast(&n.children[n.count])
	t.refill(n, n.count)
	return r
}

// cut removes row i and, in an inner node, the child behind it.
func (n *rowNode) cut(i int) {
	copy(n.rows[i:n.count], n.rows[i+1:n.count])
	n.rows[n.count-1] = nil
	if n.children != nil {
		copy(n.children[i+1:n.count+1], n.children[i+2:n.count+1])
		n.children[n.count] = nil
	}
	n.count--
}

// refill mends child i of n, which has just lost a row (so both are of this generation), from a neighbour with rows to spare, or makes one of the two.
func (t *rowTree) refill(n *rowNode, i int) {
	switch {
	case n.children[i].count >= minRows:
	case i > 0 && n.children[i-1].count > minRows:
		t.shiftRight(n, i-1)
	case i < n.count && n.children[i+1].count > minRows:
		t.shiftLeft(n, i)
	case i > 0:
		t.merge(n, i-1)
	default:
		t.merge(n, i)
	}
}

// shiftRight moves the last row of child i up to n, and what was there down to child i+1.
func (t *rowTree) shiftRight(n *rowNode, i int) {
	left, right := t.own(&n.children[i]), n.children[i+1]
	copy(right.rows[1:right.count+1], right.rows[:right.count])
	right.rows[0] = n.rows[i]
	if right.children != nil {
		copy(right.children[1:right.count+2], right.children[:right.count+1])
		right.children[0] = left.children[left.count]
	}
	right.count++
	n.rows[i] = left.rows[left.count-1]
	left.cut(left.count - 1)
}

// shiftLeft moves the first row of child i+1 up to n, and what was there down to child i.
func (t *rowTree) shiftLeft(n *rowNode, i int) {
	left, right := n.children[i], t.own(&n.children[i+1])
	left.rows[left.count] = n.rows[i]
	left.count++
	n.rows[i] = right.rows[0]
	if right.children != nil {
		left.children[left.count] = right.children[0]
		right.children[0] = right.children[1] // cut removes the child behind the row
	}
	right.cut(0)
}

// merge moves child i+1 of n, and the row between, into child i. Neither has more than minRows, one of them has fewer.
func (t *rowTree) merge(n *rowNode, i int) {
	left, right := t.own(&n.children[i]), n.children[i+1]
	left.rows[left.count] = n.rows[i]
	copy(left.rows[left.count+1:], right.rows[:right.count])
	if left.children != nil {
		copy(left.children[left.count+1:], right.children[:right.count+1])
	}
	left.count += 1 + right.count
	n.cut(i)
}
