package faultfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// simple is the promise, without any cleverness: all bytes twice.
type simple struct {
	folder              bool
	now, durable        []byte
	names, durableNames map[string]*simple
}

func newSimple(folder bool) *simple {
	return &simple{folder: folder, names: map[string]*simple{}, durableNames: map[string]*simple{}}
}

func (s *simple) sync() {
	s.durable, s.durableNames = slices.Clone(s.now), maps.Clone(s.names)
}

func (s *simple) tree(below string, durable bool, into map[string]string) map[string]string {
	names := s.names
	if durable {
		names = s.durableNames
	}
	for name, n := range names {
		switch path := below + name; {
		case n.folder:
			into[path+"/"] = ""
			n.tree(path+"/", durable, into)
		case durable:
			into[path] = string(n.durable)
		default:
			into[path] = string(n.now)
		}
	}
	return into
}

// both is a folder of the simple model beside the same of the volume.
type both struct {
	v      *volume
	folder *inode
	simple *simple
}

func (b both) any(t *rapid.T, names map[string]*simple, folder bool) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name].folder == folder {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		t.Skip("no such name")
	}
	return rapid.SampledFrom(all).Draw(t, "name")
}

// TestVolumeIsTheSimpleModel runs random calls against both, in the root and in a folder that is durable: they always show the
// same, and after a cut that drops everything unsynced, the backing has what the model says is durable.
func TestVolumeIsTheSimpleModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "faultfs-")
		must(t, err)
		defer os.RemoveAll(dir)
		must(t, os.MkdirAll(filepath.Join(dir, "durable", "sub"), 0o755))
		v, err := openVolume(dir)
		must(t, err)
		root, sub := newSimple(true), newSimple(true)
		root.names["sub"] = sub
		root.sync()
		places := []both{{v, v.root, root}, {v, v.root.names["sub"], sub}}
		calls(t, v, places, root)
		_, err = v.powerCut(DropAll(), 1)
		must(t, err)
		v, err = openVolume(dir)
		must(t, err)
		if got, want := v.tree(t, v.root, ""), root.tree("", true, map[string]string{}); !maps.Equal(got, want) {
			t.Fatalf("after the cut: %s, want %s", brief(got), brief(want))
		}
	})
}

func calls(t *rapid.T, v *volume, places []both, root *simple) {
	at := func() both { return rapid.SampledFrom(places).Draw(t, "folder") }
	t.Repeat(map[string]func(*rapid.T){
		"create": func(t *rapid.T) {
			b, name := at(), rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
			folder := rapid.IntRange(0, 4).Draw(t, "folder") == 0
			_, exists := b.simple.names[name]
			if _, err := v.create(b.folder, name, folder, 0o600, 0, 0); (err != nil) != exists {
				t.Fatalf("create: %v, exists %v", err, exists)
			}
			if !exists {
				b.simple.names[name] = newSimple(folder)
			}
		},
		"write": func(t *rapid.T) {
			b := at()
			name := b.any(t, b.simple.names, false)
			s, offset := b.simple.names[name], rapid.IntRange(0, 9000).Draw(t, "offset")
			bytes := []byte(strings.Repeat(rapid.StringN(1, 1, 1).Draw(t, "byte"), rapid.IntRange(1, 5000).Draw(t, "length")))
			must(t, v.write(b.folder.names[name], bytes, int64(offset)))
			s.now = append(s.now, make([]byte, max(0, offset+len(bytes)-len(s.now)))...)
			copy(s.now[offset:], bytes)
		},
		"resize": func(t *rapid.T) {
			b := at()
			name := b.any(t, b.simple.names, false)
			s, size := b.simple.names[name], rapid.IntRange(0, 12000).Draw(t, "size")
			must(t, v.resize(b.folder.names[name], int64(size)))
			s.now = append(slices.Clone(s.now[:min(size, len(s.now))]), make([]byte, max(0, size-len(s.now)))...)
		},
		"sync": func(t *rapid.T) {
			b := at()
			name := b.any(t, b.simple.names, false)
			must(t, v.fsync(b.folder.names[name], nil))
			b.simple.names[name].sync()
		},
		"sync folder": func(t *rapid.T) {
			b := at()
			must(t, v.fsync(b.folder, nil))
			b.simple.sync()
		},
		"rename": func(t *rapid.T) {
			b := at()
			from, to := b.any(t, b.simple.names, false), rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "to")
			old := b.simple.names[to]
			err := v.rename(b.folder, from, b.folder, to, true)
			if refused := old != nil && old.folder; refused != (err != nil) {
				t.Fatalf("rename: %v", err)
			} else if !refused && from != to {
				b.simple.names[to] = b.simple.names[from]
				delete(b.simple.names, from)
			}
		},
		"remove": func(t *rapid.T) {
			b, folder := at(), rapid.IntRange(0, 4).Draw(t, "folder") == 0
			name := b.any(t, b.simple.names, folder)
			if name == "sub" {
				t.Skip("stays")
			}
			must(t, v.remove(b.folder, name, folder))
			delete(b.simple.names, name)
		},
		"": func(t *rapid.T) {
			if got, want := v.tree(t, v.root, ""), root.tree("", false, map[string]string{}); !maps.Equal(got, want) {
				t.Fatalf("programs see %s, want %s", brief(got), brief(want))
			}
			var bytes int64
			for _, text := range v.tree(t, v.root, "") {
				bytes += int64(len(text))
			}
			if v.used != bytes {
				t.Fatalf("%d bytes are counted, %d are there", v.used, bytes)
			}
		},
	})
}

// tree is what programs see, as tree() has it.
func (v *volume) tree(t *rapid.T, folder *inode, below string) map[string]string {
	found := map[string]string{}
	for name, n := range folder.names {
		if n.folder {
			found[below+name+"/"] = ""
			maps.Copy(found, v.tree(t, n, below+name+"/"))
			continue
		}
		p := make([]byte, n.file.size+10)
		got, err := v.read(n, p, 0)
		must(t, err)
		found[below+name] = string(p[:got])
	}
	return found
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// brief names files with their sizes.
func brief(tree map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		all = append(all, fmt.Sprintf("%s: %d bytes", name, len(tree[name])))
	}
	return strings.Join(all, ", ")
}

// TestSurvivors: every plan's outcome is allowed, the same seed draws the same, and over many seeds everything that may happen
// does.
func TestSurvivors(t *testing.T) {
	pending := []change{{offset: 100, bytes: make([]byte, 2000)}, {size: 50}, {offset: 0, bytes: make([]byte, 512)}}
	all, none, some, torn := 0, 0, 0, 0
	for seed := range uint64(300) {
		var loss, again Loss
		got := Mixed().survivors(pending, rand.New(rand.NewPCG(seed, 0)), &loss)
		if twice := Mixed().survivors(pending, rand.New(rand.NewPCG(seed, 0)), &again); len(twice) != len(got) || again != loss {
			t.Fatalf("seed %d draws %v and %v", seed, loss, again)
		}
		var arrived int64
		for _, c := range got {
			arrived += int64(len(c.bytes))
			if end := c.offset + int64(len(c.bytes)); c.bytes != nil && end%sectorBytes != 0 && end != 2100 {
				t.Errorf("seed %d: torn at %d, within a sector", seed, end)
			}
		}
		if arrived+loss.Bytes != 2512 || int64(len(got))+loss.Writes != 3 {
			t.Errorf("seed %d: %d changes with %d bytes arrived, lost %+v", seed, len(got), arrived, loss)
		}
		switch {
		case loss.Torn > 0:
			torn++
		case len(got) == 3:
			all++
		case len(got) == 0:
			none++
		default:
			some++
		}
	}
	if all*none*some*torn == 0 {
		t.Errorf("300 seeds: %d all, %d none, %d some, %d torn", all, none, some, torn)
	}
}
