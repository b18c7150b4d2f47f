package schedule

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// someFault draws all kinds of parameters.
func someFault(id string, d *Drawer) (Fault, bool) {
	return Fault{ID: id, For: d.Between(time.Millisecond, 10*time.Second), Nodes: d.OneNode(), Bytes: d.Count(1, 1000), Amount: d.Float64(), Mode: d.Of("a", "b"), On: &Event{Kind: "log", Node: d.NodeName(), Count: 1}}, id != "unknown"
}

func classesOf(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("class%02d", i))
	}
	return ids
}

// TestSwarm draws many schedules: lively ones, each with a subset of the classes, all classes often enough.
func TestSwarm(t *testing.T) {
	const seeds = 1000
	d := Defaults{Lasting: []string{"class03", "class04"}, Classes: append(classesOf(45), "unknown"), Common: []string{"class03", "class04", "class05", "class06"}, Rare: []string{"rare"}}
	having, shapes, lasts := map[string]int{}, map[shape]int{}, 0
	for seed := range uint64(seeds) {
		s := Draw(seed, d, someFault)
		if len(s.Faults) > 40 {
			t.Errorf("seed %d: %d faults in a minute", seed, len(s.Faults))
		}
		shapes[shape{s.Shards, s.Replicas}]++
		seen := map[string]bool{}
		last := Duration(0)
		for _, f := range s.Faults {
			if f.At < last || f.At < Duration(2*time.Second) || f.At > s.Duration-Duration(2*time.Second) {
				t.Errorf("seed %d: a fault at %s after one at %s", seed, time.Duration(f.At), time.Duration(last))
			}
			last = f.At
			seen[f.ID] = true
		}
		for id := range seen {
			having[id]++
		}
		outlasts := func(f Fault) bool {
			return f.At >= s.Duration-Duration(4*time.Second) && f.For >= Duration(10*time.Second)
		}
		if i := slices.IndexFunc(s.Faults, func(f Fault) bool { return outlasts(f) && slices.Contains(d.Lasting, f.ID) }); s.Core && i >= 0 {
			lasts++
		}
	}
	if lasts < seeds/5 { // half have a core, most of these one of the two classes
		t.Errorf("in %d of %d schedules a fault outlasts the others", lasts, seeds)
	}
	if len(shapes) != 3 || shapes[shape{2, 3}] < seeds/32 || shapes[shape{1, 5}] < seeds/32 || shapes[shape{1, 3}] < 3*seeds/4 {
		t.Errorf("shapes of clusters: %v", shapes)
	}
	if s := Draw(1, Defaults{Shards: 3, Replicas: 1}, someFault); s.Shards != 3 || s.Replicas != 1 {
		t.Errorf("asked for 3 shards of 1 replica, drew %d of %d", s.Shards, s.Replicas)
	}
	for _, id := range classesOf(45) {
		if having[id] < seeds/20 {
			t.Errorf("%s is in %d of %d schedules, want 5 %% at least", id, having[id], seeds)
		}
	}
	for _, id := range d.Common {
		if having[id] < seeds/2 || having[id] > 3*seeds/4 {
			t.Errorf("%s is common and in %d of %d schedules", id, having[id], seeds)
		}
	}
	if having["rare"] < seeds/20 || having["rare"] > seeds/4 || having["unknown"] > 0 {
		t.Errorf("rare faults are in %d schedules, unknown ones in %d", having["rare"], having["unknown"])
	}
}

func TestDrawIsRepeatable(t *testing.T) {
	d := Defaults{Classes: classesOf(10), Shards: 2, Replicas: 5}
	a, b, other := Draw(7, d, someFault), Draw(7, d, someFault), Draw(8, d, someFault)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a.Faults, other.Faults) {
		t.Error("a seed gives two schedules, or two seeds give one")
	}
}

func TestWriteAndRead(t *testing.T) {
	for seed := range uint64(50) {
		s := Draw(seed, Defaults{Classes: classesOf(10), All: true}, someFault)
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		got, err := Read(&b)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%v: read %+v, want %+v, from %s", err, got, s, text)
		}
	}
	for _, text := range []string{`{"version":2}`, `{"version":1,"fautls":[]}`, `{"version":1,"duration":"1x"}`, ``} {
		if _, err := Read(bytes.NewBufferString(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

func TestDrawnNodes(t *testing.T) {
	for seed := range uint64(200) {
		s := Draw(seed, Defaults{Shards: 1 + int(seed%3), Replicas: 1 + 2*int(seed%3)}, someFault)
		Draw(seed, Defaults{Classes: []string{"x"}, All: true, Shards: s.Shards, Replicas: s.Replicas}, func(_ string, d *Drawer) (Fault, bool) {
			all := s.Shards * s.Replicas
			if n := len(d.SomeNodes()); n < 1 || n >= all && all > 1 {
				t.Errorf("some nodes: %d of %d", n, all)
			}
			if pair := d.Pair(); len(pair) != min(2, all) || len(pair) == 2 && pair[0] == pair[1] {
				t.Errorf("pair: %v", pair)
			}
			if n := d.Count(5, 10); n < 5 || n > 10 {
				t.Errorf("count: %d", n)
			}
			return Fault{}, false
		})
	}
}
