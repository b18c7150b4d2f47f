package controller

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// diskState is what the watchdog makes of the disk.
type diskState int32

const (
	diskOK      diskState = iota
	diskFull              // a write failed for want of space, or with another error; tried again by itself
	diskStalled           // a write has been under way for longer than DiskStallTimeout
)

// String gives the name used in status and metrics.
func (s diskState) String() string { return [...]string{"ok", "full", "stalled"}[s] }

const (
	reserveFile = "reserve"
	leastRoom   = 1 << 20 // bytes that must fit beside the reserve before a full disk counts as well again
)

// diskWatch is guard G7: it sees every write to the log and the vote, and knows when the disk is full or stalled. While it
// is not ok the transport is silent (see transport.go), so that a leader that can't write doesn't stay leader. Both states
// end by themselves.
type diskWatch struct {
	folder  string
	reserve int64
	stall   time.Duration
	onError func(error)
	born    time.Time

	mu struct {
		sync.Mutex
		writes map[uint64]time.Duration // writes under way, by ticket: when they began, since born
		next   uint64
		failed error // the last write's error, until a probe succeeds
	}
	// What state needs of mu, which every put asks for; changed under mu.
	full   atomic.Bool  // mu.failed is set
	oldest atomic.Int64 // beginning of the oldest write under way, ns since born; noWrite if there is none
	closed chan struct{}
}

const noWrite = math.MaxInt64

func newDiskWatch(folder string, t Tuning, closed chan struct{}, onError func(error)) *diskWatch {
	d := &diskWatch{folder: folder, reserve: t.DiskReserveBytes, stall: t.DiskStallTimeout, onError: onError, born: time.Now(), closed: closed}
	d.mu.writes = map[uint64]time.Duration{}
	d.oldest.Store(noWrite)
	return d
}

// changed brings full and oldest in step with mu, which the caller holds.
func (d *diskWatch) changed() {
	d.full.Store(d.mu.failed != nil)
	oldest := int64(noWrite)
	for _, began := range d.mu.writes {
		oldest = min(oldest, int64(began))
	}
	d.oldest.Store(oldest)
}

// watch runs one write and remembers how long it takes and how it ends.
func (d *diskWatch) watch(write func() error) error {
	d.mu.Lock()
	ticket := d.mu.next
	d.mu.next++
	d.mu.writes[ticket] = time.Since(d.born)
	d.changed()
	d.mu.Unlock()

	err := write()

	d.mu.Lock()
	delete(d.mu.writes, ticket)
	first := err != nil && d.mu.failed == nil
	if err != nil {
		d.mu.failed = err
	}
	d.changed()
	d.mu.Unlock()
	if first {
		d.onError(err)                                      // before another call of this disk that may hang
		_ = os.Remove(filepath.Join(d.folder, reserveFile)) // room for votes and terms
	}
	return err
}

// hold runs write until it succeeds. It ends with an error only when the node closes.
func (d *diskWatch) hold(write func() error) error {
	for {
		err := d.watch(write)
		if err == nil {
			return nil
		}
		select {
		case <-d.closed:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// refusal is the error that log entries meet while the disk is full: the room that the reserve left is for votes and terms.
func (d *diskWatch) refusal() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.failed
}

func (d *diskWatch) state() diskState {
	if d.full.Load() {
		return diskFull
	}
	if d.writing() > d.stall {
		return diskStalled
	}
	return diskOK
}

// writing is how long the oldest write under way has taken, 0 if there is none.
func (d *diskWatch) writing() time.Duration {
	oldest := d.oldest.Load()
	if oldest == noWrite {
		return 0
	}
	return time.Since(d.born) - time.Duration(oldest)
}

// hangs says that a write has taken half of DiskStallTimeout: time for another leader, but not for silence.
func (d *diskWatch) hangs() bool { return d.writing() > d.stall/2 }

// untilLate is how long the oldest write under way may still take before it hangs, or else before it counts as stalled, but at
// most atMost.
func (d *diskWatch) untilLate(atMost time.Duration) time.Duration {
	if writing := d.writing(); writing > 0 {
		for _, late := range []time.Duration{d.stall / 2, d.stall} {
			if left := late - writing; left >= 0 {
				return min(left+1, atMost)
			}
		}
	}
	return atMost
}

// storesVotes says whether a vote would reach the disk now. For a disk that is only full the reserve was freed.
func (d *diskWatch) storesVotes() bool {
	switch d.state() {
	case diskOK:
		return true
	case diskFull:
		return errors.Is(d.refusal(), syscall.ENOSPC)
	}
	return false
}

// probe tries whether a failed disk takes writes again, by making the reserve anew. It also makes the first reserve.
func (d *diskWatch) probe() {
	path := filepath.Join(d.folder, reserveFile)
	d.mu.Lock()
	failed := d.mu.failed
	d.mu.Unlock()
	if failed == nil {
		if info, err := os.Stat(path); err == nil && info.Size() == d.reserve {
			return
		}
	}
	// The failed write freed the reserve, so the reserve alone would fit again on a disk as full as before: more must fit.
	size := d.reserve
	if failed != nil {
		size += max(d.reserve, leastRoom)
	}
	err := writeSynced(path+".tmp", make([]byte, size))
	if err == nil {
		err = os.Truncate(path+".tmp", d.reserve)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		_ = os.Remove(path + ".tmp")
		d.mu.Lock()
		if failed == nil && d.mu.failed == nil && errors.Is(err, syscall.ENOSPC) {
			d.mu.failed = err
			d.changed()
		}
		d.mu.Unlock()
		return
	}
	d.mu.Lock()
	d.mu.failed = nil
	d.changed()
	d.mu.Unlock()
}
