package store

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// treeRig holds a rowTree against a Go map, and views from before against what they showed then.
type treeRig struct {
	tree  rowTree
	model map[string]Revision
	next  Revision
	views []treeView
}

type treeView struct {
	tree  rowTree
	model map[string]Revision
}

// Long keys have a length of two bytes. Few enough keys that most are met again, enough for three levels.
var genTreeKey = rapid.Custom(func(t *rapid.T) string {
	key := fmt.Sprintf("%03d", rapid.IntRange(0, 700).Draw(t, "key"))
	if rapid.IntRange(0, 20).Draw(t, "long") == 0 {
		key += string(bytes.Repeat([]byte{'-'}, 200))
	}
	return key
})

func (r *treeRig) put(t fataler, key string) {
	place := r.tree.place([]byte(key))
	old, present := r.model[key]
	if (*place != nil) != present || (present && (*place).revision() != old) {
		t.Fatalf("the place of %q holds %v, want revision %d", key, *place, old)
	}
	r.next++
	*place = newRow([]byte(key), []byte("value"), r.next, 1, 2)
	r.model[key] = r.next
}

func (r *treeRig) delete(t fataler, key string) {
	old, present := r.model[key]
	row := r.tree.delete([]byte(key))
	if (row != nil) != present || (present && row.revision() != old) {
		t.Fatalf("delete of %q gave %v, want revision %d", key, row, old)
	}
	delete(r.model, key)
}

func (r *treeRig) view() {
	if len(r.views) == 5 {
		r.views = r.views[1:]
	}
	r.views = append(r.views, treeView{r.tree.freeze(), maps.Clone(r.model)})
}

func (r *treeRig) check(t fataler) {
	checkTree(t, &r.tree, r.model)
	for i := range r.views {
		checkTree(t, &r.views[i].tree, r.views[i].model)
	}
}

// checkTree compares everything that a tree shows with the model, and looks at its shape.
func checkTree(t fataler, tree *rowTree, model map[string]Revision) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(model))
	i := 0
	tree.scan(func(r row) bool {
		if i == len(keys) || string(r.key()) != keys[i] || r.revision() != model[keys[i]] || string(r.value()) != "value" {
			t.Fatalf("row %d is %q, revision %d", i, r.key(), r.revision())
		}
		i++
		return true
	})
	if i != len(keys) || tree.Len() != i {
		t.Fatalf("%d rows, Len says %d, want %d", i, tree.Len(), len(keys))
	}
	for _, key := range keys {
		if r := tree.get([]byte(key)); r == nil || r.revision() != model[key] {
			t.Fatalf("get %q: %v", key, r)
		}
	}
	if tree.get([]byte("4")) != nil || tree.get([]byte("~")) != nil {
		t.Fatalf("get of an absent key")
	}
	if last := tree.last(); (last == nil) != (i == 0) || (i > 0 && string(last.key()) != keys[i-1]) {
		t.Fatalf("last is %v", last)
	}
	if tree.root != nil {
		checkNode(t, tree.root, tree.generation)
	}
}

// checkNode gives the depth below n, the same everywhere, and finds nodes that are empty, too full, newer than the tree, or
// hold on to what is no longer theirs.
func checkNode(t fataler, n *rowNode, generation uint64) (depth int) {
	t.Helper()
	if n.count < 1 || n.count > maxRows || n.generation > generation {
		t.Fatalf("a node of %d rows and generation %d in a tree of generation %d", n.count, n.generation, generation)
	}
	for _, r := range n.rows[n.count:] {
		if r != nil {
			t.Fatalf("a node keeps a row that is not in it")
		}
	}
	if n.children == nil {
		return 1
	}
	for i, child := range n.children {
		if (child != nil) != (i <= n.count) {
			t.Fatalf("child %d of a node of %d rows: %v", i, n.count, child)
		}
		if child == nil {
			continue
		}
		if d := checkNode(t, child, n.generation); depth != 0 && d != depth {
			t.Fatalf("leaves at different depths")
		} else {
			depth = d
		}
	}
	return depth + 1
}

// TestRowTreeAgainstModel: puts and deletes, one by one and in runs up and down, with views between them.
func TestRowTreeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &treeRig{model: map[string]Revision{}}
		run := func(step func(fataler, string)) func(*rapid.T) {
			return func(t *rapid.T) {
				from, count := rapid.IntRange(0, 700).Draw(t, "from"), rapid.IntRange(1, 300).Draw(t, "count")
				by := rapid.SampledFrom([]int{1, -1, 7}).Draw(t, "by")
				for i := range count {
					step(t, fmt.Sprintf("%03d", ((from+i*by)%701+701)%701))
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":      func(t *rapid.T) { r.put(t, genTreeKey.Draw(t, "key")) },
			"delete":   func(t *rapid.T) { r.delete(t, genTreeKey.Draw(t, "key")) },
			"puts":     run(r.put),
			"deletes":  run(r.delete),
			"view":     func(*rapid.T) { r.view() },
			"new life": func(t *rapid.T) { r.tree = rowTree{}; r.model = map[string]Revision{}; r.views = nil },
			"":         func(t *rapid.T) { r.check(t) },
		})
	})
}

// TestRowTreeDrains takes out the root's first row until nothing is left: each is replaced by the greatest row below it.
func TestRowTreeDrains(t *testing.T) {
	r := &treeRig{model: map[string]Revision{}}
	for i := range 700 {
		r.put(t, fmt.Sprintf("%03d", i*3%700))
	}
	r.view()
	for r.tree.root != nil {
		r.delete(t, string(r.tree.root.rows[0].key()))
		checkTree(t, &r.tree, r.model)
	}
	r.check(t)
}

// TestRowTreeSeek compares seek with a search in a sorted list, for every key, its predecessor and its successor.
func TestRowTreeSeek(t *testing.T) {
	r := &treeRig{model: map[string]Revision{}}
	if it := r.tree.iter(); it.seek(nil) {
		t.Error("an empty tree has a first row")
	}
	for i := range 900 {
		r.put(t, fmt.Sprintf("%03d", i*7%900))
	}
	keys := slices.Sorted(maps.Keys(r.model))
	for _, key := range keys {
		for _, start := range []string{key, key + "\x00", key[:2]} {
			want := keys[min(len(keys), must(slices.BinarySearch(keys, start))):]
			it := r.tree.iter()
			for more := it.seek([]byte(start)); more; more = it.next() {
				if len(want) == 0 || string(it.row().key()) != want[0] {
					t.Fatalf("from %q: at %q", start, it.row().key())
				}
				want = want[1:]
				if len(want)%50 == 1 {
					break // enough of this one
				}
			}
			if len(want) > 0 && len(want)%50 != 1 {
				t.Fatalf("from %q: ended before %q", start, want[0])
			}
		}
	}
}

func must(i int, _ bool) int { return i }

// TestRowTreeCopiesOncePerView: puts between two views copy a node once, and none when no view was made.
func TestRowTreeCopiesOncePerView(t *testing.T) {
	r := &treeRig{model: map[string]Revision{}}
	for i := range 700 {
		r.put(t, fmt.Sprintf("%03d", i))
	}
	r.view()
	row := newRow([]byte("350"), nil, 1, 1, 1)
	*r.tree.place(row.key()) = row
	if again := testing.AllocsPerRun(100, func() { *r.tree.place(row.key()) = row }); again != 0 {
		t.Errorf("a put into nodes that were copied for this view allocates %v times", again)
	}
	fresh := testing.AllocsPerRun(100, func() {
		_ = r.tree.freeze()
		*r.tree.place(row.key()) = row
	})
	if fresh < 3 || fresh > 6 {
		t.Errorf("the first put after a view allocates %v times, not once for the leaf and twice for each node above it", fresh)
	}
}
