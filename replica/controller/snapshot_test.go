package controller

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kvorum/kvorum/wire"
)

// TestSnapshotRestartAndCatchUp: a node restarts from a snapshot, and one that fell behind the log gets one.
func TestSnapshotRestartAndCatchUp(t *testing.T) {
	s := newTestShard(t, 3, func(_ int, cfg *Config) { cfg.Tuning.TrailingLogs = 2 })
	s.lead(0)
	s.mustPut("early", "1")
	s.allSee("early", "1")
	s.stop(2)
	for n := range 40 {
		s.mustPut(fmt.Sprint("k", n), "v")
	}
	s.allSee("k39", "v")
	for i := range 2 {
		at, err := s.nodes[i].Snapshot(context.Background())
		must(t, err)
		again, err := s.nodes[i].Snapshot(context.Background()) // perhaps nothing new
		must(t, err)
		if at == 0 || again < at || s.nodes[i].Status().SnapshotIndex < at {
			t.Fatalf("n%d: snapshots at %d and %d, status says %d", i, at, again, s.nodes[i].Status().SnapshotIndex)
		}
	}
	s.start(2)
	s.allSee("k39", "v")
	if s.nodes[2].restores.Load() == 0 {
		t.Fatal("n2 caught up without a snapshot: nothing to see")
	}
	s.mustPut("behind", "v") // now n2's log has entries before the snapshot, a gap, and one behind it: no damage
	s.allSee("behind", "v")
	for i := range s.nodes {
		s.stop(i)
	}
	for i := range s.nodes {
		s.start(i)
	}
	s.mustPut("after", "2")
	s.allSee("after", "2")
	digest := s.nodes[0].View().Digest()
	for i := range s.nodes {
		if value(s.nodes[i].View(), "early") != "1" || value(s.nodes[i].View(), "k39") != "v" {
			t.Fatalf("n%d lost data", i)
		}
		eventually(t, "equal digests", func() bool { return s.nodes[i].View().Digest() == digest })
	}
}

// TestSnapshotIfLarge: the log is bounded in bytes, whatever its number of entries, and so is what trails a snapshot.
func TestSnapshotIfLarge(t *testing.T) {
	s := newTestShard(t, 3, func(_ int, cfg *Config) {
		cfg.Tuning.SnapshotBytes, cfg.Tuning.TrailingBytes = 256<<10, 64<<10
	})
	s.leader()
	for n := range 40 {
		s.mustPut(fmt.Sprint("k", n%4), strings.Repeat("x", 16<<10))
	}
	for i, c := range s.nodes {
		eventually(t, fmt.Sprintf("n%d to take a snapshot", i), func() bool { return c.Status().SnapshotIndex > 0 })
		eventually(t, fmt.Sprintf("n%d to drop old entries", i), func() bool {
			first, err := c.stores.log.FirstIndex()
			return err == nil && first > 1
		})
	}
	if _, err := s.get(0, "k0", wire.Linearizable); err != nil {
		t.Fatal(err)
	}
}

// TestTuningDefaults: the struct tags, which the program's flags come from, and DefaultTuning say the same.
func TestTuningDefaults(t *testing.T) {
	tuning := DefaultTuning()
	must(t, tuning.Validate())
	v := reflect.ValueOf(tuning)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		text := fmt.Sprint(v.Field(i).Interface())
		want := field.Tag.Get("default")
		if d, ok := v.Field(i).Interface().(time.Duration); ok {
			parsed, err := time.ParseDuration(want)
			must(t, err)
			text, want = d.String(), parsed.String()
		}
		if text != want || field.Tag.Get("name") == "" || field.Tag.Get("help") == "" {
			t.Errorf("%s: DefaultTuning says %s, the tag %q (name %q)", field.Name, text, want, field.Tag.Get("name"))
		}
	}
	if err := (Tuning{}).Validate(); err == nil {
		t.Error("a zero Tuning is accepted")
	}
}
