package store

import "bytes"

// Scan calls fn for each row whose key starts with prefix and is greater than after, in ascending order of the key's bytes
// over all slots that may be read here, until fn gives false. An after of nil means from the start. The key is fn's to
// keep; the value is read only.
func (v *View) Scan(prefix, after []byte, fn func(key []byte, row Row) bool) {
	start := prefix
	if bytes.Compare(after, start) > 0 {
		start = after
	}
	h := v.mergeFrom(start, prefix)
	if after != nil {
		for len(h) > 0 && bytes.Compare(h[0].key, after) <= 0 {
			h = h.advance(prefix)
		}
	}
	for len(h) > 0 {
		if !fn(bytes.Clone(h[0].key), h[0].row.public()) {
			return
		}
		h = h.advance(prefix)
	}
}

// scanner stands at a row of one slot.
type scanner struct {
	key  []byte
	row  row
	iter rowIter
}

// load takes over the row that the iterator stands at; false when it has left the prefix.
func (s *scanner) load(prefix []byte) bool {
	s.row = s.iter.row()
	s.key = s.row.key()
	return bytes.HasPrefix(s.key, prefix)
}

// merge is a binary heap of scanners, least key first. No two slots hold the same key.
type merge []*scanner

func (v *View) mergeFrom(start, prefix []byte) merge {
	var h merge
	for s := range SlotCount {
		rows, readable := v.rowsOf(Slot(s))
		if !readable || rows.Len() == 0 {
			continue
		}
		sc := &scanner{iter: rows.iter()}
		if sc.iter.seek(start) && sc.load(prefix) {
			h = append(h, sc)
		}
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
	return h
}

// advance moves the least scanner to its next row, or drops it at its end.
func (h merge) advance(prefix []byte) merge {
	if !h[0].iter.next() || !h[0].load(prefix) {
		last := len(h) - 1
		h[0] = h[last]
		h = h[:last]
	}
	h.down(0)
	return h
}

func (h merge) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if bytes.Compare(h[child].key, h[least].key) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
