package controller

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDiskProbeNeedsRoomBesideTheReserve: the reserve that a failed write has freed is not room. A disk that is as full
// as before must stay full, however often it is probed, and count as well again once there is room.
func TestFullDiskProbeNeedsRoomBesideTheReserve(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=16m"); err != nil {
		if os.Getenv("KVORUM_CI") != "" {
			t.Fatalf("a small file system is needed: %v", err)
		}
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	tuning := DefaultTuning()
	tuning.DiskReserveBytes = 4 << 20
	d := newDiskWatch(folder, tuning, make(chan struct{}), func(error) {})
	d.probe()
	fill := filepath.Join(folder, "others")
	if err := os.WriteFile(fill, make([]byte, 32<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk takes 32 MiB: %v", err)
	}
	log := filepath.Join(folder, "log")
	err := d.watch(func() error { return writeSynced(log, make([]byte, 64<<10)) })
	if !errors.Is(err, syscall.ENOSPC) || d.state() != diskFull {
		t.Fatalf("write: %v, state %s", err, d.state())
	}
	for range 3 {
		d.probe()
		if d.state() != diskFull {
			t.Fatal("the freed reserve was taken for room")
		}
	}
	if err := d.hold(func() error { return writeSynced(log, make([]byte, 4096)) }); err != nil {
		t.Fatalf("a vote found no room where the reserve was: %v", err)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	d.probe()
	if d.state() != diskOK {
		t.Fatalf("state %s with room again", d.state())
	}
}
