package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is what POSIX says of one disk with one folder: for each file its bytes as a program sees them, and what may be on
// the platter.
type model struct {
	files map[string]*modelFile
	names map[string]bool // durable for certain
	maybe map[string]bool // changed since the last sync of the folder: there or not
}

type modelFile struct {
	data    []byte
	durable []byte
	changes []change // since the last sync
}

const blockBytes = 700 // more than a sector, so that writes may tear

// TestModel lets rapid write, truncate, sync, create and remove, and cut the power in between. What a running program sees is
// always what it wrote; what a crash leaves is the synced bytes with some of the later changes, each whole or torn at a sector.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := New()
		m := &model{files: map[string]*modelFile{}, names: map[string]bool{}, maybe: map[string]bool{}}
		name := func(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name") }
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				n, offset := name(t), int64(rapid.IntRange(0, 3000).Draw(t, "offset"))
				b := bytes.Repeat([]byte{byte(rapid.IntRange(1, 250).Draw(t, "byte"))}, rapid.IntRange(1, blockBytes).Draw(t, "bytes"))
				f := open(t, d, n)
				if wrote, errno := f.WriteAt(b, offset); wrote != len(b) || errno != 0 {
					t.Fatalf("write: %d, %d", wrote, errno)
				}
				m.change(n, change{offset: offset, bytes: b})
			},
			"truncate": func(t *rapid.T) {
				n, size := name(t), int64(rapid.IntRange(0, 3000).Draw(t, "size"))
				if errno := open(t, d, n).Truncate(size); errno != 0 {
					t.Fatal(errno)
				}
				m.change(n, change{size: size})
			},
			"sync": func(t *rapid.T) {
				n := name(t)
				if errno := open(t, d, n).Sync(); errno != 0 {
					t.Fatal(errno)
				}
				m.change(n, change{size: -1})
				f := m.files[n]
				f.durable, f.changes = slices.Clone(f.data), nil
			},
			"sync folder": func(t *rapid.T) {
				f, _ := d.Open("/", Open{})
				if errno := f.Sync(); errno != 0 {
					t.Fatal(errno)
				}
				clear(m.maybe)
				clear(m.names)
				for n := range m.files {
					m.names[n] = true
				}
			},
			"remove": func(t *rapid.T) {
				n := name(t)
				if errno := d.Remove(n, false); (errno == 0) != (m.files[n] != nil) {
					t.Fatalf("remove: %d", errno)
				}
				delete(m.files, n)
				m.maybe[n] = true
			},
			"crash": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				d.Crash(Plan{KeepAll: 0.2, KeepNone: 0.2, Subset: 0.5, Torn: 0.5, Garbage: 0.5, Names: true}, rand.New(rand.NewPCG(seed, 0)))
				m.crashed(t, d)
			},
			"": func(t *rapid.T) { m.check(t, d) },
		})
	})
}

func open(t *rapid.T, d *Disk, name string) *File {
	f, errno := d.Open(name, Open{Create: true})
	if errno != 0 {
		t.Fatal(errno)
	}
	return f
}

// change notes a change of a file, which is made if it is not there.
func (m *model) change(name string, c change) {
	f := m.files[name]
	if f == nil {
		f = &modelFile{}
		m.files[name] = f
		m.maybe[name] = true
	}
	if c.size >= 0 {
		f.changes = append(f.changes, c)
		f.data = c.apply(slices.Clone(f.data))
	}
}

// check compares what a running program sees.
func (m *model) check(t *rapid.T, d *Disk) {
	var total int64
	for _, n := range []string{"a", "b", "c"} {
		f, errno := d.Open(n, Open{})
		want := m.files[n]
		if (errno == 0) != (want != nil) {
			t.Fatalf("%s: open says %d, want it there: %t", n, errno, want != nil)
		}
		if want == nil {
			continue
		}
		got := make([]byte, f.Info().Size)
		if _, errno := f.ReadAt(got, 0); errno != 0 || !bytes.Equal(got, want.data) {
			t.Fatalf("%s: a program reads other bytes than it wrote", n)
		}
		total += int64(len(got))
	}
	if d.Used() != total {
		t.Fatalf("%d bytes are used, want %d", d.Used(), total)
	}
}

// crashed checks what a power cut left, and takes it over.
func (m *model) crashed(t *rapid.T, d *Disk) {
	left := d.Durable()
	for _, n := range []string{"a", "b", "c"} {
		got, there := left[n]
		if !m.maybe[n] && there != m.names[n] {
			t.Fatalf("%s: there after the crash: %t, want %t", n, there, m.names[n])
		}
		if !m.maybe[n] && there {
			if err := m.files[n].legal(got); err != nil {
				t.Fatalf("%s: %v", n, err)
			}
		}
	}
	m.files, m.names, m.maybe = map[string]*modelFile{}, map[string]bool{}, map[string]bool{}
	for n, b := range left {
		m.files[n], m.names[n] = &modelFile{data: b, durable: slices.Clone(b)}, true
	}
}

// legal checks each byte: it was synced, or written since, or is the zero or the end that a truncation left, or the garbage of
// a torn sector of a later write.
func (f *modelFile) legal(got []byte) error {
	sizes := map[int64]bool{int64(len(f.durable)): true}
	longest := int64(len(f.durable))
	for _, c := range f.changes {
		longest = max(longest, c.size, c.offset+int64(len(c.bytes)))
		sizes[c.size] = sizes[c.size] || c.bytes == nil
	}
	if len(f.changes) == 0 && !bytes.Equal(got, f.durable) {
		return fmt.Errorf("synced bytes are lost")
	}
	if int64(len(got)) > longest {
		return fmt.Errorf("%d bytes, more than were ever there", len(got))
	}
	for i, b := range got {
		if !f.legalAt(int64(i), b) {
			return fmt.Errorf("byte %d is %d, which was never there", i, b)
		}
	}
	return nil
}

func (f *modelFile) legalAt(at int64, b byte) bool {
	if at < int64(len(f.durable)) && f.durable[at] == b {
		return true
	}
	zero := at >= int64(len(f.durable))
	for _, c := range f.changes {
		switch {
		case c.bytes == nil:
			zero = true
		case at >= c.offset && at < c.offset+int64(len(c.bytes)):
			if c.bytes[at-c.offset] == b || at/SectorBytes > c.offset/SectorBytes { // garbage never in the first sector
				return true
			}
		default:
			zero = zero || at >= int64(len(f.durable))
		}
	}
	return zero && b == 0
}
