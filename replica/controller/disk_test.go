package controller

import (
	"errors"
	"os"
	"testing"
	"time"
)

// TestDiskWatchSeesTheOldestWrite: a write that hangs counts although later ones come and go, and no longer than it hangs.
func TestDiskWatchSeesTheOldestWrite(t *testing.T) {
	d := newDiskWatch(t.TempDir(), Tuning{DiskStallTimeout: time.Nanosecond}, nil, func(error) {})
	if s := d.state(); s != diskOK {
		t.Fatalf("%v before any write", s)
	}
	release, ended := make(chan struct{}), make(chan error)
	go func() { ended <- d.watch(func() error { <-release; return nil }) }()
	eventually(t, "the write to hang", func() bool { return d.state() == diskStalled })
	began := d.oldest.Load()
	err := d.watch(func() error {
		if oldest := d.oldest.Load(); oldest != began {
			t.Errorf("a later write hides it: oldest %d, want %d", oldest, began)
		}
		return nil
	})
	if err != nil || d.state() != diskStalled {
		t.Errorf("after another write: %v, %v", err, d.state())
	}
	close(release)
	if err := <-ended; err != nil || d.state() != diskOK {
		t.Errorf("after the hanging write: %v, %v", err, d.state())
	}
}

// TestDiskWatchStaysFull until a probe succeeds, whatever other writes do.
func TestDiskWatchStaysFull(t *testing.T) {
	d := newDiskWatch(t.TempDir(), Tuning{DiskStallTimeout: time.Hour, DiskReserveBytes: 1}, nil, func(error) {})
	if err := d.watch(func() error { return os.ErrClosed }); !errors.Is(err, os.ErrClosed) || d.state() != diskFull {
		t.Errorf("after a failed write: %v, %v", err, d.state())
	}
	if err := d.watch(func() error { return nil }); err != nil || d.state() != diskFull {
		t.Errorf("after another write: %v, %v", err, d.state())
	}
	if d.probe(); d.state() != diskOK || d.refusal() != nil {
		t.Errorf("after a probe: %v, %v", d.state(), d.refusal())
	}
}
